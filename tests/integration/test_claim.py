"""The claim: one statement takes what may be worked and says how the rest stands."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.access import ANYBODY
from chalicelib.db import Database
from chalicelib.errors import StoreUnavailable
from chalicelib.queue import Message
from chalicelib.store import Store
from chalicelib.task import Status
from tests.world import MY_TOKEN, OTHER_TOKEN

if TYPE_CHECKING:
    from chalicelib.store import Standing
    from tests.world import World

CRASHED = {"code": "crashed", "message": "The worker ended without a report."}


def message(number: int, *, receives: int = 1) -> Message:
    return Message(
        id=f"m{number}",
        receipt=f"r{number}",
        task_id=number,
        receive_count=receives,
        trace_id="Root=1-2",
        body="",
    )


def claim(world: World, *ids: int, token: str = MY_TOKEN) -> list[Standing]:
    messages = [message(number) for number in ids]
    return world.store.claim_tasks(messages, token=token, lease=60, request_id="request-1")


def test_a_pending_task_is_claimed_with_a_new_attempt_and_a_lease(world: World) -> None:
    number = world.table.arrange("pending", payload={"a": [1]}, description="more")
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert standing.task is not None
    assert (standing.status, standing.task.attempt) == (Status.PROCESSING, 1)
    assert (standing.task.payload, standing.task.description) == ({"a": [1]}, "more")
    assert (row["status"], row["attempt"], row["lease_token"]) == ("processing", 1, MY_TOKEN)
    assert (row["lease_until"] - row["started_at"]).total_seconds() == 60
    assert row["updated_at"] == row["started_at"] == standing.task.started_at
    assert row["finished_at"] is None


def test_the_row_tells_where_its_latest_attempt_runs(world: World) -> None:
    number = world.table.arrange("pending")
    claim(world, number)
    row = world.table.row(number)
    where = [row[name] for name in ("request_id", "message_id", "receive_count", "trace_id")]
    assert where == ["request-1", f"m{number}", 1, "Root=1-2"]


def test_a_task_that_is_due_again_keeps_the_error_of_its_last_attempt(world: World) -> None:
    number = world.table.arrange("retrying", error={"code": "exception", "message": "a"})
    [standing] = claim(world, number)
    assert standing.task is not None
    assert standing.task.attempt == 2
    assert standing.task.error == {"code": "exception", "message": "a"}
    assert world.table.row(number)["attempts"] == []


def test_the_same_claim_again_finds_its_own_token_and_changes_nothing(world: World) -> None:
    number = world.table.arrange("pending")
    [first] = claim(world, number)
    before = world.table.row(number)
    [second] = claim(world, number)
    assert second.task == first.task
    assert world.table.row(number) == before


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_final_task_is_left_as_it_is(world: World, status: str) -> None:
    number = world.table.arrange(status)
    before = world.table.row(number)
    [standing] = claim(world, number)
    assert (standing.task, standing.status) == (None, status)
    assert world.table.row(number) == before


def test_a_final_task_is_not_taken_by_its_last_holders_token_either(world: World) -> None:
    number = world.table.arrange("completed", lease_token=MY_TOKEN)
    [standing] = claim(world, number)
    assert (standing.task, standing.status) == (None, Status.COMPLETED)


def test_a_task_that_somebody_else_works_is_busy_until_the_lease_ends(world: World) -> None:
    number = world.table.arrange("processing", lease_until=world.table.at(100))
    before = world.table.row(number)
    [standing] = claim(world, number)
    assert (standing.task, standing.status) == (None, Status.PROCESSING)
    assert 95 < standing.wait <= 100
    assert world.table.row(number) == before


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_task_is_early_until_it_is_due(world: World, status: str) -> None:
    number = world.table.arrange(status, run_at=world.table.at(100))
    before = world.table.row(number)
    [standing] = claim(world, number)
    assert (standing.task, standing.status) == (None, status)
    assert 95 < standing.wait <= 100
    assert world.table.row(number) == before


def test_an_absent_task_has_no_status(world: World) -> None:
    [standing] = claim(world, 4711)
    assert (standing.id, standing.task, standing.status) == (4711, None, None)


def test_an_expired_lease_is_taken_over_and_the_crash_recorded(world: World) -> None:
    number = world.table.arrange(
        "processing", lease_until=world.table.at(-1), request_id="request-0", message_id="m0"
    )
    began = world.table.row(number)["started_at"]
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert standing.task is not None
    assert (row["attempt"], row["lease_token"], row["error"]) == (2, MY_TOKEN, CRASHED)
    [record] = row["attempts"]
    assert (record["attempt"], record["outcome"], record["error"]) == (1, "crashed", CRASHED)
    assert (record["request_id"], record["message_id"]) == ("request-0", "m0")
    assert datetime.fromisoformat(record["started_at"]) == began
    assert row["request_id"] == "request-1"


def test_a_crash_of_the_last_attempt_fails_the_task(world: World) -> None:
    number = world.table.arrange("processing", attempt=3, lease_until=world.table.at(-1))
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert (standing.task, standing.status) == (None, Status.FAILED)
    assert (row["status"], row["attempt"], row["error"]) == ("failed", 3, CRASHED)
    assert row["result"] == "Error: The worker ended without a report."
    assert [one["attempt"] for one in row["attempts"]] == [3]
    assert (row["lease_until"], row["finished_at"]) == (None, row["updated_at"])


def test_a_waiting_task_without_attempts_left_fails(world: World) -> None:
    number = world.table.arrange("retrying", attempt=3)
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert standing.status is Status.FAILED
    assert row["error"] == {"code": "attempts_exhausted", "message": "No attempts are left."}
    assert (row["result"], row["attempts"]) == ("Error: No attempts are left.", [])


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_task_whose_cancelling_was_asked_for_is_cancelled(world: World, status: str) -> None:
    number = world.table.arrange(
        status, cancel_requested_at=world.table.at(-1), run_at=world.table.at(100)
    )
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert (standing.task, standing.status) == (None, Status.CANCELLED)
    assert (row["status"], row["result"], row["attempts"]) == ("cancelled", None, [])
    assert row["finished_at"] is not None


def test_a_crashed_task_whose_cancelling_was_asked_for_is_cancelled(world: World) -> None:
    number = world.table.arrange(
        "processing", lease_until=world.table.at(-1), cancel_requested_at=world.table.at(-1)
    )
    [standing] = claim(world, number)
    row = world.table.row(number)
    assert (standing.status, row["status"]) == (Status.CANCELLED, "cancelled")
    assert [one["outcome"] for one in row["attempts"]] == ["crashed"]


def test_a_batch_is_judged_row_by_row_in_one_statement(world: World) -> None:
    fresh, done = world.table.arrange("pending"), world.table.arrange("completed")
    busy = world.table.arrange("processing")
    standings = claim(world, busy, 4711, fresh, done)
    assert [(s.id, s.status, s.task is not None) for s in standings] == [
        (fresh, Status.PROCESSING, True),
        (done, Status.COMPLETED, False),
        (busy, Status.PROCESSING, False),
        (4711, None, False),
    ]
    assert world.query.names == ["claim_tasks"]


def test_of_two_claims_at_once_the_later_finds_the_task_busy(world: World) -> None:
    number = world.table.arrange("pending")
    answers: list[Standing] = []
    with psycopg2.connect(world.settings.database_url) as held, held.cursor() as cursor:
        cursor.execute("select 1 from tasks where id = %s for update", [number])
        tokens = (MY_TOKEN, OTHER_TOKEN)
        threads = [
            threading.Thread(target=lambda t=token: answers.extend(claim(world, number, token=t)))
            for token in tokens
        ]
        for thread in threads:
            thread.start()
        _wait_for_lock(world, 2)
    held.close()
    for thread in threads:
        thread.join()
    assert sorted(answer.task is not None for answer in answers) == [False, True]
    assert world.table.row(number)["attempt"] == 1


#: Lets PostgreSQL look rows up one by one, in the order they are asked for, as in a large table.
ONE_BY_ONE = "?options=" + "%20".join(
    f"-c%20{way}%3Doff" for way in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")
)


def test_batches_that_overlap_in_opposite_order_never_dead_lock(world: World) -> None:
    ids = [world.table.arrange("processing") for _ in range(100)]
    failures: list[Exception] = []

    def hammer(order: list[int], token: str) -> None:
        database = Database(world.settings.database_url + ONE_BY_ONE)
        store = Store(database.query, world.settings)
        messages = [message(number) for number in order]
        try:
            for _ in range(50):
                store.claim_tasks(messages, token=token, lease=60, request_id="request-1")
        except StoreUnavailable as error:
            failures.append(error)
        database.close()

    threads = [
        threading.Thread(target=hammer, args=(ids, MY_TOKEN)),
        threading.Thread(target=hammer, args=(ids[::-1], OTHER_TOKEN)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


MANY: dict[str, dict[str, Any]] = {
    "retry_tasks": {
        **dict.fromkeys(("kind", "tag", "text", "created_before")),
        "after": datetime.min.replace(tzinfo=UTC),
        "after_id": 0,
        "most": 1000,
        **ANYBODY.proof(),
        "status": "failed",
        "limit": 1000,
        "more": 3,
        "attempts": "{}",
        "grace": 120.0,
    },
    "mark_unsent": {"ids": None, "ahead": 900.0},
}


@pytest.mark.parametrize(
    ("name", "status"), [("retry_tasks", "failed"), ("mark_unsent", "pending")]
)
def test_what_changes_many_rows_locks_them_in_the_order_of_a_claim(
    world: World, name: str, status: str
) -> None:
    """It waits for the first row, so it may not have locked any of the others yet."""
    times = [world.table.at(-n) for n in range(20)]
    ids = [world.table.arrange(status, created_at=at, dispatch_after=at) for at in times]
    database = Database(world.settings.database_url + ONE_BY_ONE)
    with psycopg2.connect(world.settings.database_url) as held, held.cursor() as cursor:
        cursor.execute("select 1 from tasks where id = %s for update", [ids[0]])
        thread = threading.Thread(target=database.query, args=[name], kwargs=MANY[name])
        thread.start()
        _wait_for_lock(world, 1)
        free = world.table.run("select id from tasks order by id for update skip locked")
    held.close()
    thread.join()
    database.close()
    assert [row["id"] for row in free] == ids[1:]


def _wait_for_lock(world: World, sessions: int) -> None:
    waiting: Any = 0
    while waiting < sessions:
        [row] = world.table.run(
            "select count(*) as count from pg_stat_activity"
            " where wait_event_type = 'Lock' and datname = current_database()"
        )
        waiting = row["count"]
