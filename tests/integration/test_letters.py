"""Failed tasks and dead letters are the same set, and the rows lead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.queue import TaskQueue
from chalicelib.sweeper import letters as room
from tests.world import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, world_of: Callable[..., World]) -> World:
    """A world on the fake queue, and one on the real one."""
    if request.param == "fake":
        return world_of()
    client, name = request.getfixturevalue("sqs"), request.getfixturevalue("queue_name")
    return world_of(TaskQueue(lambda: client, name, f"{name}-dlq"))


def failed(world: World, *, ago: float = DAY) -> int:
    moment = world.table.at(-ago)
    return world.table.arrange("failed", finished_at=moment, updated_at=moment)


def write(world: World, *numbers: Any) -> None:
    for number in numbers:
        body = json.dumps({"task_id": number}) if isinstance(number, int) else number
        world.queue.letters.put(body)


def letters(world: World) -> list[int]:
    """Which tasks the visible letters name, in order."""
    found = []
    while received := world.queue.letters.receive_messages(hidden_for=60):
        found += [message.task_id for message in received]
    return sorted(found)


def test_a_task_that_failed_without_a_message_gets_a_letter(world: World) -> None:
    number = failed(world)
    done = world.sweep()
    assert (done["letters_sent"], done["letters_deleted"]) == (1, 0)
    assert letters(world) == [number]


def test_a_task_that_failed_just_now_may_have_a_message_on_its_way(world: World) -> None:
    failed(world, ago=60)
    assert world.sweep()["letters_sent"] == 0


@pytest.mark.parametrize("status", ["completed", "pending", "retrying", "cancelled", None])
def test_a_letter_of_a_task_that_is_not_failed_is_deleted(world: World, status: str | None) -> None:
    number = 999 if status is None else world.table.arrange(status, dispatch_after="infinity")
    kept = failed(world)
    write(world, number, kept, number)
    assert world.sweep()["letters_deleted"] == 2
    assert letters(world) == [kept]


def test_a_second_letter_is_deleted_and_the_first_one_kept(world: World) -> None:
    number = failed(world)
    write(world, number, number, number)
    assert world.sweep()["letters_deleted"] == 2
    assert letters(world) == [number]


def test_messages_that_name_no_task_are_left_alone(world: World) -> None:
    number = failed(world)
    write(world, "not a task", "{}", number)
    done = world.sweep()
    assert (done["letters_sent"], done["letters_deleted"]) == (0, 0)
    assert letters(world) == [0, 0, number]


def test_where_the_counts_agree_no_letter_is_touched_again_for_a_while(world: World) -> None:
    write(world, failed(world))
    world.sweep()
    world.query.names.clear()
    world.sweep()
    assert "still_failed" not in world.query.names


def test_equal_counts_that_are_unequal_sets_are_found_all_the_same(world: World) -> None:
    twice, never = failed(world), failed(world)
    write(world, twice, twice)
    done = world.sweep()
    assert (done["letters_sent"], done["letters_deleted"]) == (1, 1)
    assert letters(world) == sorted([twice, never])


def test_a_scan_that_changed_nothing_is_not_repeated_before_the_counts_change(
    world: World,
) -> None:
    write(world, "not a task")
    world.sweep()
    world.query.names.clear()
    world.sweep()
    assert "still_failed" not in world.query.names
    number = failed(world)
    failed_too = failed(world)
    assert world.sweep()["letters_sent"] == 2
    assert {number, failed_too} <= set(letters(world))


def test_a_scan_goes_on_in_the_next_tick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST", 10)
    numbers = [failed(world) for _ in range(25)]
    missing = failed(world)
    write(world, *numbers)
    sent = [world.sweep()["letters_sent"] for _ in range(4)]
    assert sum(sent) == 1
    assert sent[0] == 0
    assert set(letters(world)) >= {missing}


def test_a_retry_by_hand_takes_the_letter_away(world: World) -> None:
    number = failed(world)
    write(world, number)
    world.service.retry(number)
    assert world.sweep()["letters_deleted"] == 1
    assert letters(world) == []


def test_letters_older_than_the_queue_keeps_them_are_not_written_anew(world: World) -> None:
    failed(world, ago=15 * DAY)
    assert world.sweep()["letters_sent"] == 0


def test_a_letter_that_shows_itself_again_in_a_long_scan_is_not_taken_for_a_second_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST", 10)
    monkeypatch.setattr(world.sweeper._letters, "_hidden", 0)
    numbers = [failed(world) for _ in range(15)]
    write(world, *numbers, "not a task")
    assert sum(world.sweep()["letters_deleted"] for _ in range(4)) == 0
    monkeypatch.setattr(world.sweeper._letters, "_hidden", 60)
    world.sweep()
    assert set(letters(world)) <= {0, *numbers}
    assert world.queue.letters.depth() == 16
