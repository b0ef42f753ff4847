"""The worker while the database or the queue is away, or somebody newer holds its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    Snooze,
    StoreUnavailable,
)
from chalicelib.worker import persist
from tests.world import OTHER_TOKEN, bad, raising

if TYPE_CHECKING:
    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.fakes import Heard
    from tests.world import World


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "PERSISTENCE", (0.0, 0.0))


def test_a_database_that_is_away_at_the_claim_keeps_every_message(world: World) -> None:
    ids = [world.task() for _ in range(2)]
    world.query.before["claim_tasks"] = [StoreUnavailable()] * 3
    world.deliver()
    assert world.queue.hidden_for() == [360, 360]
    assert {world.table.status(number) for number in ids} == {"pending"}
    world.queue.now += 360
    world.deliver()
    assert {world.table.status(number) for number in ids} == {"completed"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_claim_is_tried_again_while_the_database_is_away(world: World, moment: str) -> None:
    """A receive cannot be given back, so it is not wasted on a moment's absence."""
    number = world.task()
    failures = {"claim_tasks": [StoreUnavailable(), StoreUnavailable()]}
    setattr(world.query, moment, failures)
    world.deliver()
    assert (world.table.status(number), world.table.row(number)["attempt"]) == ("completed", 1)
    assert world.query.names.count("claim_tasks") == 3
    assert world.queue.stored == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_settling_is_tried_again_while_the_database_is_away(world: World, moment: str) -> None:
    """Whether it was carried out (``after``) or not, the second try tells the same."""
    number = world.task()
    failures = {"settle_attempts": [StoreUnavailable(), StoreUnavailable()]}
    setattr(world.query, moment, failures)
    world.deliver()
    assert world.table.status(number) == "completed"
    assert world.query.names.count("settle_attempts") == 3
    assert world.queue.stored == []


def test_a_result_that_could_not_be_settled_comes_again_with_its_message(
    world: World, heard: Heard
) -> None:
    number = world.task()
    world.query.before["settle_attempts"] = [StoreUnavailable()] * 3
    world.deliver()
    assert "results_lost" in heard.events()
    assert world.table.status(number) == "processing"
    assert world.queue.hidden_for() == [360]
    world.table.update(number, lease_until=world.table.at(-1))
    world.queue.now += 360
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"]) == ("completed", 2)


def test_there_is_no_waiting_for_the_database_when_time_is_short(world: World) -> None:
    world.task()
    world.query.before["settle_attempts"] = [StoreUnavailable()] * 3
    world.deliver(remaining=4)
    assert world.query.names.count("settle_attempts") == 1


def test_a_claim_whose_reply_was_lost_is_found_again_once_its_lease_is_over(world: World) -> None:
    number = world.task()
    world.query.after["claim_tasks"] = [StoreUnavailable()] * 3
    world.deliver()
    assert world.table.status(number) == "processing"
    world.table.update(number, lease_until=world.table.at(-1))
    world.queue.now += 360
    world.deliver()
    assert world.table.status(number) == "completed"


def test_the_result_of_a_fenced_worker_is_dropped_and_its_message_waits_for_the_other(
    world: World, heard: Heard
) -> None:
    def action(task: Task, context: Context) -> str:  # noqa: ARG001
        world.table.update(task.id, lease_token=OTHER_TOKEN, lease_until=world.table.at(200))
        return "stale"

    number = bad(world, action)
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["result"]) == ("processing", None)
    assert "task_fenced" in heard.events()
    [hidden] = world.queue.hidden_for()
    assert 195 < hidden <= 200


def test_a_worker_whose_task_was_rescued_meanwhile_is_counted_as_fenced(
    world: World, heard: Heard
) -> None:
    def action(task: Task, context: Context) -> str:  # noqa: ARG001
        world.table.update(task.id, lease_until=world.table.at(-1))
        world.store.rescue_tasks(limit=1)
        return "late"

    number = bad(world, action)
    world.deliver()
    assert world.table.status(number) == "retrying"
    assert "task_fenced" in heard.events()
    assert world.queue.hidden_for() == [0]


def test_a_release_that_was_fenced_lets_no_message_go(world: World) -> None:
    def action(task: Task, context: Context) -> None:  # noqa: ARG001
        world.table.update(task.id, lease_until=world.table.at(-1))
        world.store.rescue_tasks(limit=1)
        raise Snooze(100)

    bad(world, action)
    world.deliver()
    assert world.queue.hidden_for() == [0]


def test_a_queue_that_is_away_does_not_break_a_finished_batch(world: World) -> None:
    good, poor = world.task(), bad(world, raising(ValueError("no luck")))
    records = world.queue.receive()
    world.queue.away = True
    kept = world.work(records)
    assert (world.table.status(good), world.table.status(poor)) == ("completed", "retrying")
    assert kept == {records[1]["messageId"]}
