"""What becomes of a message, by how its task stands."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.errors import BatchPartiallyFailed
from chalicelib.fate import Fates
from chalicelib.queue import Message
from chalicelib.settings import Settings
from chalicelib.task import Status
from tests.fakes import FakeQueue

LONG = 11.9 * 3600  # beyond what is left of SQS's twelve hours


class Asked(FakeQueue):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, list[Any]] = {"hide": [], "delete": [], "bury": []}

    def hide(self, messages: Any) -> None:
        self.asked["hide"] += [(message.id, seconds) for message, seconds in messages]
        self._ask()

    def delete(self, messages: Any) -> None:
        self.asked["delete"] += [message.id for message in messages]
        self._ask()

    def bury(self, messages: Any) -> None:
        self.asked["bury"] += [message.id for message in messages]
        self._ask()


def message(receives: int = 1, name: str = "m1") -> Message:
    return Message(id=name, receipt="r", task_id=7, receive_count=receives, trace_id=None, body="b")


def fates(queue: Asked, mode: str = "report") -> Fates:
    return Fates(queue, Settings.model_validate({"partial_batch": mode}))


WAITING = (Status.PENDING, Status.RETRYING)

#: status, receives, wait, → kept, hidden for, buried, marked as having no message
TABLE = [
    *((status, receives, 0, False, None, False, False)
      for status in (None, Status.COMPLETED, Status.CANCELLED) for receives in (1, 3, 4)),
    *((Status.FAILED, receives, 0, True, 0, False, False) for receives in (1, 2, 3)),
    (Status.FAILED, 4, 0, False, None, True, False),
    *((status, receives, 50, True, 50, False, False)
      for status in (*WAITING, Status.PROCESSING) for receives in (1, 2)),
    *((status, receives, 50, False, None, False, True)
      for status in WAITING for receives in (3, 4)),
    *((status, 1, LONG, False, None, False, True) for status in WAITING),
    (Status.PROCESSING, 3, 50, False, None, False, False),
    (Status.PROCESSING, 1, LONG, False, None, False, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "receives", "wait", "kept", "hidden", "buried", "unsent"), TABLE
)
def test_a_message_fares_as_its_task_stands(
    *,
    status: Status | None,
    receives: int,
    wait: float,
    kept: bool,
    hidden: float | None,
    buried: bool,
    unsent: bool,
) -> None:
    queue = Asked()
    one = fates(queue)
    one.decide(message(receives), status, wait)
    answer = one.carry_out()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}] if kept else []}
    assert queue.asked["hide"] == ([] if hidden is None else [("m1", hidden)])
    assert queue.asked["bury"] == (["m1"] if buried else [])
    assert one.unsent == ([7] if unsent else [])


def test_every_status_stands_in_the_table() -> None:
    assert {row[0] for row in TABLE} == {None, *Status}


def test_a_message_of_unknown_standing_is_kept_and_left_to_its_visibility_timeout() -> None:
    queue = Asked()
    one = fates(queue)
    one.leave(message(receives=3))
    assert one.carry_out() == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert queue.asked["hide"] == []


def test_a_letter_that_could_not_be_buried_is_kept() -> None:
    queue = Asked()
    queue.away = True
    one = fates(queue)
    one.dead(message(receives=4))
    one.done(message(name="m2"))
    assert one.carry_out() == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_without_partial_responses_what_is_done_is_deleted_and_the_rest_raised_for() -> None:
    queue = Asked()
    one = fates(queue, "delete")
    one.done(message(name="m1"))
    one.decide(message(name="m2"), Status.RETRYING, 9)
    one.leave(message(name="m3"))
    with pytest.raises(BatchPartiallyFailed) as caught:
        one.carry_out()
    assert caught.value.context["kept"] == ["m2", "m3"]
    assert queue.asked["delete"] == ["m1"]
    assert queue.asked["hide"] == [("m2", 9)]


def test_without_partial_responses_lambda_deletes_a_batch_that_is_done() -> None:
    queue = Asked()
    one = fates(queue, "delete")
    one.done(message())
    assert one.carry_out() == {"batchItemFailures": []}
    assert queue.asked["delete"] == []


def test_a_queue_that_is_away_is_not_taken_for_a_batch_that_is_done() -> None:
    queue = Asked()
    queue.away = True
    one = fates(queue, "delete")
    one.done(message(name="m1"))
    one.dead(message(receives=4, name="m2"))
    one.decide(message(name="m3"), Status.RETRYING, 9)
    with pytest.raises(BatchPartiallyFailed) as caught:
        one.carry_out()
    assert caught.value.context["kept"] == ["m3", "m2"]
    asked = {"bury": ["m2"], "hide": [("m3", 9)], "delete": ["m1"]}
    assert queue.asked == asked, "one refusal must not keep it from trying the rest"
