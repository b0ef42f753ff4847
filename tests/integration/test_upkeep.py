"""The statements that look after what should have happened: rescue, dispatch, purge, list."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg2
import pytest

from chalicelib.db import Database
from chalicelib.outcome import Completed, Failed, Retry
from chalicelib.store import Store
from chalicelib.task import MOVES, Status
from tests.integration.test_claim import claim
from tests.integration.test_settle import ERROR, seconds_until, settle
from tests.world import DAY, OTHER_TOKEN, allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tests.world import World


def test_an_attempt_whose_lease_ran_out_is_rescued_and_due_at_once(world: World) -> None:
    lost = world.table.arrange("processing", lease_until=world.table.at(-1))
    alive = world.table.arrange("processing")
    assert [(s.id, s.status) for s in world.store.rescue_tasks(limit=10)] == [(lost, "retrying")]
    row = world.table.row(lost)
    assert (row["status"], row["error"]["code"]) == ("retrying", "crashed")
    assert [one["outcome"] for one in row["attempts"]] == ["crashed"]
    assert (row["run_at"], world.table.unsent()) == (row["updated_at"], {lost})
    assert world.table.status(alive) == "processing"


def test_a_rescued_last_attempt_fails_and_its_result_says_why(world: World) -> None:
    number = world.table.arrange("processing", attempt=3, lease_until=world.table.at(-1))
    world.store.rescue_tasks(limit=10)
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "crashed")
    assert row["result"] == "Error: The worker ended without a report."


def test_a_rescued_task_whose_cancelling_was_asked_for_is_cancelled(world: World) -> None:
    past = world.table.at(-1)
    number = world.table.arrange(
        "processing", attempt=3, lease_until=past, cancel_requested_at=past
    )
    world.store.rescue_tasks(limit=10)
    row = world.table.row(number)
    assert (row["status"], row["result"]) == ("cancelled", None)
    assert row["finished_at"] is not None


def test_a_rescue_takes_no_more_than_it_was_told(world: World) -> None:
    for _ in range(3):
        world.table.arrange("processing", lease_until=world.table.at(-1))
    taken = [len(world.store.rescue_tasks(limit=2)) for _ in range(3)]
    assert taken == [2, 1, 0]


def test_only_waiting_tasks_are_marked_as_having_no_message(world: World) -> None:
    ids = {status: world.table.arrange(status) for status in Status}
    other = world.table.arrange("pending")
    world.store.mark_unsent(list(ids.values()))
    assert world.table.unsent() == {ids[Status.PENDING], ids[Status.RETRYING]}
    world.store.mark_unsent(None)
    assert world.table.unsent() == {ids[Status.PENDING], ids[Status.RETRYING], other}


def test_a_far_task_is_marked_for_a_quarter_of_an_hour_before_its_time(world: World) -> None:
    number = world.table.arrange("pending", run_at=world.table.at(5000))
    world.store.mark_unsent([number])
    assert 4095 < seconds_until(world, number, "dispatch_after") <= 4100


def test_tasks_known_to_have_no_message_are_sent_apart_from_those_presumed(world: World) -> None:
    unsent = world.table.arrange("pending", dispatch_after="-infinity", description="more")
    overdue = world.table.arrange("retrying", dispatch_after=world.table.at(-1))
    world.table.arrange("pending", dispatch_after=world.table.at(100))
    world.table.arrange("processing", dispatch_after="-infinity")
    world.table.arrange("completed", dispatch_after="-infinity")
    assert [one.id for one in world.store.dispatch_tasks(unsent=False, limit=10)] == [overdue]
    [letter] = world.store.dispatch_tasks(unsent=True, limit=10)
    assert (letter.id, letter.title, letter.description) == (unsent, "a title", "more")
    assert letter.delay == 0
    assert world.store.dispatch_tasks(unsent=True, limit=10) == []
    assert world.store.dispatch_tasks(unsent=False, limit=10) == []


def test_a_task_is_sent_early_with_the_exact_delay_but_not_too_early(world: World) -> None:
    near = world.table.arrange("pending", dispatch_after="-infinity", run_at=world.table.at(800))
    world.table.arrange("pending", dispatch_after="-infinity", run_at=world.table.at(1000))
    [letter] = world.store.dispatch_tasks(unsent=True, limit=10)
    assert letter.id == near
    assert 790 < letter.delay <= 800
    assert 800 + 90 - 10 < seconds_until(world, near, "dispatch_after") <= 800 + 150


def test_the_wait_for_a_second_look_doubles_up_to_its_longest(world: World) -> None:
    number = world.table.arrange("pending")
    for count, wait in [(0, 120), (1, 240), (2, 480), (5, 3600), (5000, 3600)]:
        world.table.update(number, dispatch_count=count, dispatch_after="-infinity")
        world.store.dispatch_tasks(unsent=True, limit=1)
        assert world.table.row(number)["dispatch_count"] == count + 1
        assert wait * 0.74 < seconds_until(world, number, "dispatch_after") < wait * 1.26


def test_the_most_overdue_tasks_are_sent_first(world: World) -> None:
    ages = [10, 30, 20]
    ids = [world.table.arrange("pending", dispatch_after=world.table.at(-age)) for age in ages]
    with _store(world, "enable_indexscan=off", "enable_bitmapscan=off") as store:
        sent = [store.dispatch_tasks(unsent=False, limit=1)[0].id for _ in ages]
    assert sent == [ids[1], ids[2], ids[0]]


@pytest.mark.parametrize("statement", ["dispatch", "rescue", "purge"])
def test_a_sweeper_passes_over_the_rows_that_another_one_holds(
    world: World, statement: str
) -> None:
    past = world.table.at(-40 * DAY)
    status = {"dispatch": "pending", "rescue": "processing", "purge": "completed"}[statement]
    column = {"dispatch": "dispatch_after", "rescue": "lease_until", "purge": "finished_at"}
    held, _ = (world.table.arrange(status, **{column[statement]: past}) for _ in range(2))
    other = psycopg2.connect(world.settings.database_url)
    with other, other.cursor() as cursor:
        cursor.execute("select 1 from tasks where id = %s for update", [held])
        assert _run(world, statement) == 1
    other.close()
    assert _run(world, statement) == 1


@contextlib.contextmanager
def _store(world: World, *options: str) -> Iterator[Store]:
    """Give a store whose connections have options of PostgreSQL's of their own."""
    words = quote(" ".join(f"-c {option}" for option in options))
    database = Database(f"{world.settings.database_url}?options={words}")
    with contextlib.closing(database):
        yield Store(database.query, world.settings)


def _run(world: World, statement: str) -> int:
    # One that waited for the other's row would fail instead of hanging.
    with _store(world, "lock_timeout=1000") as store:
        if statement == "dispatch":
            return len(store.dispatch_tasks(unsent=False, limit=10))
        if statement == "rescue":
            return len(store.rescue_tasks(limit=10))
        return store.purge_tasks(limit=10)


def test_what_is_due_and_what_ought_to_have_a_message_is_counted(world: World) -> None:
    world.table.arrange("pending", dispatch_after=world.table.at(-1))
    world.table.arrange("retrying", dispatch_after=world.table.at(100))
    world.table.arrange("pending", dispatch_after="-infinity")
    world.table.arrange("pending", dispatch_after=world.table.at(-1), run_at=world.table.at(1000))
    world.table.arrange("processing")
    world.table.arrange("completed")
    assert world.store.count_presumed() == (1, 4)


def test_finished_tasks_are_purged_after_the_retention(
    world_of: Callable[..., World],
) -> None:
    world = world_of(retention_days=2)
    old = [
        world.table.arrange(status, finished_at=world.table.at(-2 * DAY - 10))
        for status in ("completed", "failed", "cancelled")
    ]
    young = world.table.arrange("completed", finished_at=world.table.at(-2 * DAY + 60))
    open_task = world.table.arrange("pending", created_at=world.table.at(-9 * DAY))
    assert [world.store.purge_tasks(limit=2) for _ in range(3)] == [2, 1, 0]
    left = {row["id"] for row in world.table.run("select id from tasks")}
    assert left == {young, open_task}
    assert not left & set(old)


def test_a_list_shows_every_task_once_while_others_are_added(world: World) -> None:
    ids = [world.table.arrange("pending") for _ in range(7)]
    seen: list[int] = []
    before: tuple[datetime, int] | None = None
    any_task = dict.fromkeys(
        ("status", "kind", "tag", "created_after", "created_before", "text"), None
    )
    while page := world.clients.list_tasks(before=before, limit=3, **any_task)[0]:
        seen += [found.task.id for found in page]
        assert len(seen) <= 7
        before = (page[-1].task.created_at, page[-1].task.id)
        world.table.arrange("pending")
    assert seen == ids[::-1]


def test_a_task_that_could_not_be_queued_is_failed_unless_a_worker_began_it(
    world: World,
) -> None:
    ids = {status: world.table.arrange(status) for status in Status}
    failed = [
        status for status, number in ids.items() if world.store.fail_unqueued_task(number, "away")
    ]
    assert failed == [Status.PENDING]
    again = world.table.arrange("pending", attempt=1)  # tried again by hand
    assert not world.store.fail_unqueued_task(again, "away")
    row = world.table.row(ids[Status.PENDING])
    assert (row["status"], row["result"]) == ("failed", "away")
    assert row["error"] == {"code": "enqueue_failed", "message": "away"}


def test_the_failing_of_an_unqueued_task_may_be_repeated(world: World) -> None:
    number = world.table.arrange("pending")
    assert [world.store.fail_unqueued_task(number, "away") for _ in range(2)] == [True, True]


#: What the statements do, aimed at a row of any status: by move, how to bring it about.
ATTEMPTS: dict[str, Callable[[World, int], object]] = {
    "claim": claim,
    "complete": lambda world, number: settle(world, number, Completed("1"), token=OTHER_TOKEN),
    "retry": lambda world, number: settle(world, number, Retry(0, ERROR), token=OTHER_TOKEN),
    "fail": lambda world, number: settle(world, number, Failed(ERROR), token=OTHER_TOKEN),
    "rescue": lambda world, _: world.store.rescue_tasks(limit=10),
    "expire": lambda world, _: world.store.expire_tasks(limit=10),
    "cancel": lambda world, number: allowed(world.clients.cancel_task)(number),
    "retry by hand": lambda world, number: allowed(world.clients.retry_task)(number),
    "unqueued": lambda world, number: world.store.fail_unqueued_task(number, "away"),
}


def test_the_statements_make_every_legal_move_and_no_other(world: World) -> None:
    """Every statement is aimed at every kind of row; what moved is held against MOVES."""
    made: set[tuple[str, str]] = set()
    for status in Status:
        for attempt in ATTEMPTS.values():
            for columns in _variants(world, status):
                number = world.table.arrange(status, **columns)
                before = world.table.row(number)
                attempt(world, number)
                after = world.table.row(number)
                if after != before:
                    made.add((before["status"], after["status"]))
                world.table.run("delete from tasks")
    legal = {(status, to) for status, moves in MOVES.items() for to in moves}
    assert made == legal


def _variants(world: World, status: Status) -> list[dict[str, Any]]:
    cancel = {"cancel_requested_at": world.table.at(-1)}
    if status is Status.PROCESSING:
        over = {"lease_until": world.table.at(-1)}
        shared = over | {"lease_shared": True}
        spent = {"attempt": 3}
        return [{}, over, cancel, over | cancel, spent, over | spent, shared, shared | spent]
    token = {"lease_token": OTHER_TOKEN}
    spent = {"attempt": 3} if status is not Status.PENDING else {"attempt": 3, "attempt_limit": 3}
    late = {"expires_at": world.table.at(-1)}
    return [{}, token, cancel, token | cancel, spent, late, {"suspect": True}]
