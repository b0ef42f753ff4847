"""A task that kills its worker: it ends failed, and costs its neighbours not one attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.world import MY_TOKEN, OTHER_TOKEN, bad, raising

if TYPE_CHECKING:
    from tests.fakes import Heard
    from tests.world import World


class Killed(BaseException):
    """Goes past the worker like the end of its process: nothing more is done."""


def poison(world: World) -> int:
    """Add a task during which its worker ends."""

    def die(task: object, context: object) -> None:  # noqa: ARG001
        world.query.before["settle_attempts"] = [Killed()]

    return bad(world, die, kind="poison")


def crash(world: World) -> None:
    """Let a worker take what is on the queue and die, and its lease run out."""
    with pytest.raises(Killed):
        world.deliver()
    over(world)


def over(world: World) -> None:
    world.table.run(
        "update tasks set lease_until = now() - interval '1 s' where status = 'processing'"
    )


def wait_for_messages(world: World) -> None:
    world.queue.now += 360


def test_a_crash_in_company_is_given_back_once_and_makes_all_of_them_suspects(
    world: World,
) -> None:
    ids = [poison(world), *(world.task() for _ in range(2))]
    crash(world)
    world.sweep()
    for row in map(world.table.row, ids):
        assert (row["status"], row["suspect"], row["attempts"]) == ("retrying", True, [])
        assert (row["attempt"] - row["release_count"], row["error"]) == (0, None)
        assert row["attempt_limit"] - row["release_count"] == 3


def test_a_poison_task_fails_as_crashed_and_its_neighbours_complete_at_their_first_attempt(
    world: World,
) -> None:
    culprit = poison(world)
    neighbours = [world.task() for _ in range(5)]
    crashes = 0
    for _ in range(10):
        try:
            world.deliver()
        except Killed:
            crashes += 1
        over(world)
        world.sweep()
        wait_for_messages(world)
    row = world.table.row(culprit)
    assert (row["status"], row["error"]["code"]) == ("failed", "crashed")
    assert [entry["outcome"] for entry in row["attempts"]] == ["crashed"] * 3
    assert crashes == 4  # the one in company, and three alone
    for row in map(world.table.row, neighbours):
        assert row["status"] == "completed"
        assert row["attempt"] - row["release_count"] == 1


def test_a_suspect_runs_after_everything_else_is_settled_and_its_messages_hidden(
    world: World,
) -> None:
    later = bad(world, raising(ValueError("not yet")), kind="later")
    culprit = poison(world)
    world.table.update(culprit, suspect=True)
    good = world.task()
    with pytest.raises(Killed):
        world.deliver()
    assert world.table.status(good) == "completed"
    assert world.table.status(later) == "retrying"
    assert world.table.status(culprit) == "processing"
    assert 30 in world.queue.hidden_for()


def test_suspects_of_one_batch_are_claimed_one_by_one(world: World) -> None:
    ids = [world.task() for _ in range(3)]
    for number in ids:
        world.table.update(number, suspect=True)
    world.deliver()
    rows = [world.table.row(number) for number in ids]
    assert {row["status"] for row in rows} == {"completed"}
    assert len({row["lease_token"] for row in rows}) == 3
    claims = world.query.names.count("claim_tasks")
    assert claims == 4


def test_a_suspect_that_crashes_alone_takes_no_other_suspect_with_it(world: World) -> None:
    first = poison(world)
    second = world.task()
    for number in (first, second):
        world.table.update(number, suspect=True)
    crash(world)
    world.sweep()
    assert world.table.row(first)["attempts"][0]["outcome"] == "crashed"
    assert world.table.row(second)["attempt"] == 0


def test_a_crash_of_a_task_that_was_claimed_alone_counts_at_once(world: World) -> None:
    number = poison(world)
    crash(world)
    world.sweep()
    row = world.table.row(number)
    assert (row["suspect"], row["attempt"], row["release_count"]) == (False, 1, 0)
    assert row["attempts"][0]["outcome"] == "crashed"


def test_a_claim_that_finds_an_expired_shared_lease_makes_a_suspect_of_it(world: World) -> None:
    ids = [poison(world), world.task()]
    crash(world)
    # No sweeper in between: the messages come back first, with another worker.
    wait_for_messages(world)
    with pytest.raises(Killed):
        world.deliver()
    culprit, neighbour = map(world.table.row, ids)
    assert (culprit["suspect"], culprit["attempt"], culprit["status"]) == (True, 2, "processing")
    assert (neighbour["suspect"], neighbour["attempt_limit"]) == (True, 4)


def test_a_suspect_for_which_there_is_no_time_comes_back_at_once(world: World) -> None:
    number = world.task()
    world.table.update(number, suspect=True)
    world.deliver(remaining=9)
    assert world.table.row(number)["attempt"] == 0
    assert world.queue.hidden_for() == [0]


@pytest.mark.parametrize("columns", [{}, {"attempt": 3}])
def test_a_cancelled_task_is_no_suspect(world: World, columns: dict[str, int]) -> None:
    number = world.table.arrange(
        "processing",
        lease_until=world.table.at(-1),
        lease_shared=True,
        cancel_requested_at=world.table.at(-2),
        **columns,
    )
    world.store.rescue_tasks(limit=10)
    row = world.table.row(number)
    assert (row["status"], row["suspect"], row["release_count"]) == ("cancelled", False, 0)


def test_a_late_worker_of_a_suspect_is_fenced(world: World, heard: Heard) -> None:
    assert OTHER_TOKEN != MY_TOKEN
    number = world.task()
    world.task()

    def sleepy(task: object, context: object) -> str:  # noqa: ARG001
        over(world)
        world.sweep()
        return "too late"

    world.registry._handlers["default"] = sleepy
    world.deliver()
    assert world.table.row(number)["result"] is None
    assert "task_fenced" in heard.events()
