"""The sweeper: what should have happened by now happens, and never a storm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import StoreUnavailable
from tests.world import DAY

if TYPE_CHECKING:
    from tests.world import World

NOTHING = {
    "rescued": 0,
    "expired": 0,
    "fired": 0,
    "called": 0,
    "sent": 0,
    "sent_again": 0,
    "letters_sent": 0,
    "letters_deleted": 0,
    "purged": 0,
}


def _sent(world: World) -> list[int]:
    return [letter.id for letter in world.queue.sent]


def test_with_nothing_to_do_the_queue_is_not_even_asked(world: World) -> None:
    world.queue.away = True
    world.table.arrange("pending", dispatch_after=world.table.at(100))
    assert world.sweep() == NOTHING


def test_a_row_known_to_have_no_message_is_always_sent(world: World) -> None:
    for _ in range(3):
        world.queue.put("{}")  # a long backlog
    number = world.table.arrange("pending", dispatch_after="-infinity", description="more")
    assert world.sweep() == NOTHING | {"sent": 1}
    [letter] = world.queue.sent
    assert json.loads(letter.body()) == {
        "task_id": number,
        "title": "a title",
        "description": "more",
    }
    assert world.sweep() == NOTHING


def test_a_backlog_with_as_many_messages_as_tasks_is_not_sent_again(world: World) -> None:
    for _ in range(5):
        world.task(dispatch_after=world.table.at(-1))
    assert world.sweep() == NOTHING
    assert _sent(world) == []


def test_only_as_many_overdue_tasks_are_sent_again_as_messages_are_missing(world: World) -> None:
    ids = [
        world.table.arrange("pending", dispatch_after=world.table.at(-age)) for age in (10, 30, 20)
    ]
    world.queue.put("{}")
    assert world.sweep() == NOTHING | {"sent_again": 2}
    assert _sent(world) == [ids[1], ids[2]]


def test_a_task_in_work_accounts_for_its_message(world: World) -> None:
    world.table.arrange("processing")
    world.table.arrange("pending", dispatch_after=world.table.at(-1))
    world.queue.put("{}")
    assert world.sweep() == NOTHING | {"sent_again": 1}


def test_a_lost_queue_is_made_good_and_every_task_completes(world: World) -> None:
    ids = [world.task() for _ in range(3)]
    world.queue.stored.clear()
    assert world.sweep() == NOTHING
    assert world.sweep(queue_lost=True) == NOTHING | {"sent": 3}
    world.deliver()
    assert {world.table.status(number) for number in ids} == {"completed"}


def test_a_task_whose_worker_died_is_rescued_and_sent_in_the_same_tick(world: World) -> None:
    number = world.table.arrange("processing", lease_until=world.table.at(-1))
    assert world.sweep() == NOTHING | {"rescued": 1, "sent": 1}
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"]) == ("completed", 2)


def test_a_queue_that_is_away_stops_the_sending_only(world: World) -> None:
    waiting = world.table.arrange("pending", dispatch_after="-infinity")
    lost = world.table.arrange("processing", lease_until=world.table.at(-1))
    world.table.arrange("completed", finished_at=world.table.at(-40 * DAY))
    world.queue.away = True
    assert world.sweep() == NOTHING | {"rescued": 1, "purged": 1}
    assert world.table.unsent() == {waiting, lost}
    world.queue.away = False
    assert world.sweep() == NOTHING | {"sent": 2}


def test_only_the_letters_that_sqs_refused_are_marked_as_unsent(world: World) -> None:
    ids = [world.table.arrange("pending", dispatch_after="-infinity") for _ in range(3)]
    world.queue.refused = {ids[1]}
    world.sweep()
    assert world.table.unsent() == {ids[1]}
    assert _sent(world) == [ids[0], ids[2]]


def test_a_tick_without_time_left_does_nothing_and_says_so(world: World) -> None:
    world.table.arrange("pending", dispatch_after="-infinity")
    world.table.arrange("processing", lease_until=world.table.at(-1))
    world.table.arrange("completed", finished_at=world.table.at(-40 * DAY))
    assert world.sweep(remaining=4) == NOTHING


def test_a_tick_stops_between_chunks_when_its_time_is_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.sweeper.sweep.SEND_CHUNK", 2)
    for _ in range(5):
        world.table.arrange("pending", dispatch_after="-infinity")
    times = iter([50.0] * 6 + [4.0])  # rescue, expiry, schedules, calling, two chunks
    done = world.sweeper.sweep(lambda: next(times, 4.0))
    assert done == NOTHING | {"sent": 4}


def test_one_tick_sends_no_more_than_its_most(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.sweeper.sweep.SEND_CHUNK", 2)
    monkeypatch.setattr("chalicelib.sweeper.sweep.MOST_SENT", 3)
    for _ in range(4):
        world.table.arrange("pending", dispatch_after="-infinity")
    world.table.arrange("pending", dispatch_after=world.table.at(-1))
    assert world.sweep() == NOTHING | {"sent": 3}
    assert world.sweep() == NOTHING | {"sent": 1, "sent_again": 1}


def test_a_line_that_is_let_go_on_leaves_room_for_what_else_is_to_be_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.sweeper.sweep.MOST_SENT", 6)
    for _ in range(9):
        world.table.arrange("pending", held="parked", dispatch_after="infinity")
    world.table.arrange("pending", dispatch_after="-infinity")
    world.table.arrange("pending", dispatch_after=world.table.at(-1))
    assert world.sweep() == NOTHING | {"called": 4, "sent": 1, "sent_again": 1}
    assert world.sweep() == NOTHING | {"called": 5}


def test_a_sweep_without_a_database_says_so(world: World) -> None:
    world.query.before["rescue_tasks"] = [StoreUnavailable()]
    with pytest.raises(StoreUnavailable):
        world.sweep()
