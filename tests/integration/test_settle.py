"""The settling: one statement writes what became of attempts, for the token's holder only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import StoreRejected
from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.store import Settlement, Standing
from chalicelib.task import Status, Task
from tests.world import MY_TOKEN, OTHER_TOKEN

if TYPE_CHECKING:
    from tests.world import World

ERROR = {"code": "exception", "class": "ValueError", "message": "no luck"}
RESCUED = (
    "update tasks set status = 'retrying', lease_token = null, lease_until = null where id = %s"
)
SPENT = {"code": "attempts_exhausted", "message": "The task was put off too often."}


def held(world: World, **columns: Any) -> int:
    return world.table.arrange("processing", **({"lease_token": MY_TOKEN} | columns))


def settle(
    world: World, number: int, outcome: Outcome, *, token: str = MY_TOKEN, unsent: bool = False
) -> Standing:
    settlement = Settlement(id=number, outcome=outcome, unsent=unsent)
    [standing] = world.store.settle_attempts([settlement], token=token)
    return standing


def seconds_until(world: World, number: int, column: str) -> float:
    [row] = world.table.run(
        f"select extract(epoch from {column} - now())::float8 as left from tasks where id = %s",  # noqa: S608
        [number],
    )
    left: float = row["left"]
    return left


def test_a_completed_attempt_keeps_its_result_and_leaves_no_history(world: World) -> None:
    number = held(world, error=ERROR)
    standing = settle(world, number, Completed('{"a":[1,"é"]}'))
    row = world.table.row(number)
    assert (standing.status, standing.fenced) == (Status.COMPLETED, False)
    assert (row["status"], row["result"], row["error"]) == ("completed", {"a": [1, "é"]}, None)
    assert (row["lease_until"], row["lease_token"], row["attempts"]) == (None, MY_TOKEN, [])
    assert row["finished_at"] == row["updated_at"] > row["started_at"]


def test_a_result_of_null_is_a_result(world: World) -> None:
    number = held(world)
    settle(world, number, Completed("null"))
    [row] = world.table.run("select result::text from tasks where id = %s", [number])
    assert row == {"result": "null"}


def test_a_retry_waits_its_delay_and_tells_its_error(world: World) -> None:
    number = held(world, request_id="request-1", message_id="m1", receive_count=2)
    standing = settle(world, number, Retry(50, ERROR))
    row = world.table.row(number)
    assert (standing.status, row["status"], row["error"]) == (Status.RETRYING, "retrying", ERROR)
    assert standing.wait == pytest.approx(50)
    assert 45 < seconds_until(world, number, "run_at") <= 50
    assert (row["result"], row["finished_at"], row["lease_until"]) == (None, None, None)
    [record] = row["attempts"]
    assert (record["attempt"], record["outcome"], record["error"]) == (1, "retrying", ERROR)
    assert (record["request_id"], record["message_id"]) == ("request-1", "m1")
    assert record["receive_count"] == 2


def test_a_retry_with_a_message_is_looked_after_once_it_is_overdue(world: World) -> None:
    number = held(world)
    settle(world, number, Retry(50, ERROR))
    assert 165 < seconds_until(world, number, "dispatch_after") <= 170


def test_a_retry_without_a_message_is_sent_by_the_next_sweep(world: World) -> None:
    number = held(world)
    settle(world, number, Retry(50, ERROR), unsent=True)
    assert world.table.unsent() == {number}


def test_a_far_retry_without_a_message_is_sent_a_quarter_of_an_hour_before_its_time(
    world: World,
) -> None:
    number = held(world)
    settle(world, number, Retry(5000, ERROR), unsent=True)
    assert 4095 < seconds_until(world, number, "dispatch_after") <= 4100


def test_a_retry_of_the_last_attempt_fails_the_task_and_its_result_says_why(world: World) -> None:
    number = held(world, attempt=3)
    standing = settle(world, number, Retry(50, ERROR))
    row = world.table.row(number)
    assert (standing.status, row["status"]) == (Status.FAILED, "failed")
    assert (row["result"], row["error"]) == ("Error: no luck", ERROR)
    assert [one["outcome"] for one in row["attempts"]] == ["failed"]
    assert row["finished_at"] is not None


def test_a_permanent_failure_leaves_the_other_attempts_unused(world: World) -> None:
    number = held(world)
    standing = settle(world, number, Failed(ERROR | {"code": "permanent"}))
    row = world.table.row(number)
    assert (standing.status, row["attempt"]) == (Status.FAILED, 1)
    assert (row["result"], row["error"]["code"]) == ("Error: no luck", "permanent")


def test_a_release_gives_the_attempt_back_and_leaves_no_trace(world: World) -> None:
    number = held(world, attempt=2, error=ERROR)
    standing = settle(world, number, Released(50), unsent=True)
    row = world.table.row(number)
    assert standing.status is Status.RETRYING
    assert (row["attempt"], row["attempt_limit"], row["release_count"]) == (2, 4, 1)
    assert (row["error"], row["attempts"]) == (ERROR, [])
    assert 45 < seconds_until(world, number, "run_at") <= 50
    task = Task.from_row(row)
    assert task.attempts_spent == 1


def test_the_thousandth_release_is_the_last(world: World) -> None:
    number = held(world, attempt=1000, attempt_limit=1002, release_count=999)
    settle(world, number, Released(0))
    assert world.table.row(number)["release_count"] == 1000
    world.table.update(
        number,
        lease_token=MY_TOKEN,
        attempt=1001,
    )
    world.table.run("update tasks set status = 'processing', lease_until = now() + interval '1 h'")
    settle(world, number, Released(0))
    row = world.table.row(number)
    assert (row["status"], row["release_count"], row["attempt_limit"]) == ("retrying", 1000, 1003)
    assert (row["error"], len(row["attempts"])) == (SPENT, 1)


def test_a_release_too_many_of_the_last_attempt_fails_the_task(world: World) -> None:
    number = held(world, attempt=1003, attempt_limit=1003, release_count=1000)
    assert settle(world, number, Released(0)).status is Status.FAILED
    row = world.table.row(number)
    assert (row["error"], row["result"]) == (SPENT, "Error: The task was put off too often.")


@pytest.mark.parametrize("outcome", [Completed("1"), Retry(9, ERROR), Failed(ERROR), Released(9)])
def test_a_stale_token_changes_nothing(world: World, outcome: Outcome) -> None:
    number = held(world, lease_token=OTHER_TOKEN)
    before = world.table.row(number)
    standing = settle(world, number, outcome)
    assert (standing.fenced, standing.status) == (True, Status.PROCESSING)
    assert 590 < standing.wait <= 600
    assert world.table.row(number) == before


@pytest.mark.parametrize("outcome", [Completed("1"), Retry(9, ERROR), Failed(ERROR), Released(9)])
def test_the_same_settling_again_is_neither_fenced_nor_written_twice(
    world: World, outcome: Outcome
) -> None:
    number = held(world)
    first = settle(world, number, outcome)
    before = world.table.row(number)
    second = settle(world, number, outcome)
    assert (second.fenced, second.status) == (False, first.status)
    assert world.table.row(number) == before


def test_an_expired_lease_still_counts_while_nobody_else_took_the_task(world: World) -> None:
    number = held(world, lease_until=world.table.at(-100))
    assert settle(world, number, Completed("1")).status is Status.COMPLETED


def test_a_settling_that_waits_for_a_rescue_is_fenced(world: World) -> None:
    number = held(world)
    standing = world.table.after(number, RESCUED, lambda: settle(world, number, Completed("1")))
    assert (standing.status, standing.fenced) == (Status.RETRYING, True)
    assert world.table.row(number)["status"] == "retrying"


def test_a_worker_whose_task_was_rescued_is_fenced(world: World) -> None:
    number = held(world, lease_until=world.table.at(-1))
    world.store.rescue_tasks(limit=10)
    before = world.table.row(number)
    standing = settle(world, number, Completed("1"))
    assert (standing.fenced, standing.status) == (True, Status.RETRYING)
    assert world.table.row(number) == before


def test_a_worker_whose_task_was_failed_by_another_claim_is_fenced(world: World) -> None:
    from tests.integration.test_claim import claim

    number = held(world, attempt=3, lease_until=world.table.at(-1))
    claim(world, number, token=OTHER_TOKEN)
    standing = settle(world, number, Completed("1"))
    assert (standing.fenced, standing.status) == (True, Status.FAILED)


def test_a_deleted_task_is_fenced_without_a_status(world: World) -> None:
    standing = settle(world, 4711, Completed("1"))
    assert (standing.fenced, standing.status) == (True, None)


@pytest.mark.parametrize("outcome", [Retry(9, ERROR), Released(9)])
def test_a_request_to_cancel_is_granted_instead_of_another_attempt(
    world: World, outcome: Outcome
) -> None:
    number = held(world, cancel_requested_at=world.table.at(-1))
    assert settle(world, number, outcome).status is Status.CANCELLED
    row = world.table.row(number)
    assert (row["status"], row["result"]) == ("cancelled", None)
    assert row["finished_at"] is not None
    shown = (Task.from_row(row).attempts_spent, row["attempt_limit"] - row["release_count"])
    assert shown == ((1, 3) if isinstance(outcome, Retry) else (0, 3))


def test_work_that_is_done_is_not_undone_by_a_request_to_cancel(world: World) -> None:
    number = held(world, cancel_requested_at=world.table.at(-1))
    assert settle(world, number, Completed("1")).status is Status.COMPLETED


def test_a_batch_is_settled_row_by_row_in_one_statement(world: World) -> None:
    mine, stolen, poor = held(world), held(world, lease_token=OTHER_TOKEN), held(world)
    standings = world.store.settle_attempts(
        [
            Settlement(id=poor, outcome=Retry(9, ERROR), unsent=False),
            Settlement(id=stolen, outcome=Completed("1"), unsent=False),
            Settlement(id=mine, outcome=Completed("1"), unsent=False),
        ],
        token=MY_TOKEN,
    )
    assert [(s.id, s.status, s.fenced) for s in standings] == [
        (mine, Status.COMPLETED, False),
        (stolen, Status.PROCESSING, True),
        (poor, Status.RETRYING, False),
    ]
    assert world.query.names == ["settle_attempts"]


def test_a_value_that_cannot_be_kept_is_refused_as_a_whole(world: World) -> None:
    good, bad = held(world), held(world)
    settlements = [
        Settlement(id=good, outcome=Completed("1"), unsent=False),
        Settlement(id=bad, outcome=Completed(r'"\u0000"'), unsent=False),
    ]
    with pytest.raises(StoreRejected):
        world.store.settle_attempts(settlements, token=MY_TOKEN)
    assert {world.table.status(good), world.table.status(bad)} == {"processing"}
