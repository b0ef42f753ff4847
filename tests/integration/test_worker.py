"""The worker on a real database: one claim, one settling, every message accounted for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    BatchPartiallyFailed,
    RetryLater,
)
from chalicelib.moments import to_number
from tests.fakes import record
from tests.world import bad, raising

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.world import World


def test_a_whole_batch_costs_one_claim_and_one_settling(world: World) -> None:
    world.deliver()  # nothing on the queue: no statement
    assert world.query.names == []
    world.worker._runner._duration["default"] = 0.001  # a kind that is known to be quick
    ids = [world.task() for _ in range(10)]
    world.deliver()
    assert {world.table.status(number) for number in ids} == {"completed"}
    assert world.table.row(ids[0])["result"] == "did a title"
    assert world.query.names == ["claim_tasks", "settle_attempts"]
    assert world.queue.stored == []


def test_a_task_that_is_named_twice_in_a_batch_is_worked_once(world: World) -> None:
    runs: list[int] = []
    number = bad(world, lambda task, _: runs.append(task.id))
    world.queue.put(json.dumps({"task_id": number}))
    world.deliver()
    assert runs == [number]
    assert world.queue.stored == []


def test_every_message_of_a_task_in_a_batch_waits_for_its_next_attempt(world: World) -> None:
    number = bad(world, raising(ValueError("no luck")))
    world.queue.put(json.dumps({"task_id": number}))
    world.deliver()
    assert world.table.row(number)["attempt"] == 1
    assert world.queue.hidden_for() == [30, 30]


def test_a_handler_is_told_a_key_that_stays_the_same_over_attempts(world: World) -> None:
    keys: list[str] = []

    def action(task: Task, context: Context) -> None:  # noqa: ARG001
        keys.append(context.idempotency_key)
        assert context.remaining() == 50
        raise ValueError

    number = bad(world, action)
    for _ in range(2):
        world.deliver()
        world.table.update(number, run_at=world.table.at(-1))
        world.queue.now += 30
    assert keys == [f"task-{number}-{to_number(world.table.row(number)['created_at'])}"] * 2


def test_an_unreadable_message_harms_no_neighbour_and_is_dead_lettered(world: World) -> None:
    world.queue.put("no json")
    number = world.task()
    world.deliver()
    assert world.table.status(number) == "completed"
    for _ in range(3):
        world.deliver()
    assert (world.queue.dead, world.queue.stored) == (["no json"], [])


def test_a_letter_received_more_often_than_allowed_is_buried_by_the_worker(world: World) -> None:
    world.queue.max_receives = 10  # a queue whose redrive is not what the settings say
    world.queue.put("no json")
    for _ in range(4):
        world.deliver()
    assert (world.queue.dead, world.queue.stored) == (["no json"], [])


def test_tasks_that_do_not_fit_the_remaining_time_are_released(world: World) -> None:
    ids = [world.task() for _ in range(3)]
    world.deliver(remaining=9)  # less than a sixth of the minute
    rows = [world.table.row(number) for number in ids]
    assert [row["status"] for row in rows] == ["completed", "retrying", "retrying"]
    assert [row["attempt_limit"] for row in rows] == [3, 4, 4]
    assert world.table.unsent() == set(ids[1:])
    assert world.queue.stored == []
    world.sweep()
    world.deliver()
    assert {world.table.status(number) for number in ids} == {"completed"}


def test_on_its_last_receive_a_message_is_given_up_and_the_row_takes_over(world: World) -> None:
    world.queue.max_receives = 3
    number = bad(world, raising(ValueError()), "bad")
    world.table.update(number, attempt_limit=5)
    world.queue.stored[0].receives = 2
    world.deliver()
    assert world.table.status(number) == "retrying"
    assert (world.queue.stored, world.queue.dead) == ([], [])
    assert world.table.unsent() == {number}


def test_an_early_message_on_its_last_receive_is_given_up_too(world: World) -> None:
    number = world.table.arrange("retrying", run_at=world.table.at(100))
    kept = world.work([record(json.dumps({"task_id": number}), receives=3)])
    assert kept == set()
    assert world.table.unsent() == {number}


def test_a_busy_message_on_its_last_receive_leaves_the_holder_alone(world: World) -> None:
    number = world.table.arrange("processing")
    before = world.table.row(number)
    assert world.work([record(json.dumps({"task_id": number}), receives=3)]) == set()
    assert world.table.row(number) == before


@pytest.mark.parametrize(
    ("status", "column"), [("processing", "lease_until"), ("retrying", "run_at")]
)
def test_a_busy_or_early_message_is_hidden_until_its_time(
    world: World, status: str, column: str
) -> None:
    number = world.table.arrange(status, **{column: world.table.at(100)})
    world.queue.put(json.dumps({"task_id": number}))
    world.deliver()
    [hidden] = world.queue.hidden_for()
    assert 95 < hidden <= 100


def test_a_wait_of_more_than_twelve_hours_lets_the_message_go(world: World) -> None:
    number = bad(world, raising(RetryLater(seconds=12 * 3600)))
    world.deliver()
    assert world.queue.stored == []
    assert world.table.status(number) == "retrying"
    [row] = world.table.run("select dispatch_after < run_at as ahead from tasks")
    assert row["ahead"]


@pytest.mark.parametrize("status", ["completed", "cancelled", None])
def test_a_message_of_a_task_that_needs_nothing_is_deleted(
    world: World, status: str | None
) -> None:
    number = world.table.arrange(status) if status else 4711
    world.queue.put(json.dumps({"task_id": number}))
    world.deliver()
    assert world.queue.stored == []


def test_a_message_of_a_failed_task_goes_to_the_dead_letter_queue(world: World) -> None:
    number = world.table.arrange("failed")
    world.queue.put(json.dumps({"task_id": number}))
    for _ in range(4):
        world.deliver()
    assert (world.queue.stored, len(world.queue.dead)) == ([], 1)


def test_without_partial_responses_the_done_are_deleted_before_the_rest_is_kept(
    world_of: Callable[..., World],
) -> None:
    world = world_of(partial_batch="delete")
    good, poor = world.task(), bad(world, raising(ValueError("no luck")))
    with pytest.raises(BatchPartiallyFailed) as caught:
        world.deliver()
    assert (world.table.status(good), world.table.status(poor)) == ("completed", "retrying")
    [left] = world.queue.stored
    assert json.loads(left.body)["task_id"] == poor
    assert caught.value.context["kept"] == [left.id]


def test_without_partial_responses_a_batch_that_is_all_done_raises_nothing(
    world_of: Callable[..., World],
) -> None:
    world = world_of(partial_batch="delete")
    number = world.task()
    world.deliver()
    assert world.table.status(number) == "completed"
    assert world.queue.stored == []
