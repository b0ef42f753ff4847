"""What becomes of a task after its handler ran."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import GiveUp, RetryLater, Snooze, TimedOut, UnknownKind
from chalicelib.outcome import (
    MAX_ERROR,
    UNKNOWN_KIND_GRACE,
    Completed,
    Failed,
    Outcome,
    Released,
    Retry,
    completed,
    describe,
    judge,
)
from chalicelib.policy import Backoff

STEADY = Backoff(base=30, longest=3600, roll=lambda: 0.5)


def judged(error: BaseException, *, attempt: int = 1, release_count: int = 0) -> Outcome:
    return judge(error, attempt=attempt, release_count=release_count, backoff=STEADY)


def test_the_first_wait_is_the_base_and_the_next_ones_double_up_to_the_longest() -> None:
    waits = [STEADY.after(attempt) for attempt in (1, 2, 3, 7, 8, 9, 10_000)]
    assert waits == [30, 60, 120, 1920, 3600, 3600, 3600]


@given(
    base=st.floats(0, 86400),
    longest=st.floats(0, 7 * 86400),
    roll=st.floats(0, 1, exclude_max=True),
    attempt=st.integers(1, 10**6),
)
def test_a_wait_is_within_a_quarter_of_its_doubling_and_never_above_the_longest(
    base: float, longest: float, roll: float, attempt: int
) -> None:
    wait = Backoff(base=base, longest=longest, roll=lambda: roll).after(attempt)
    plain = min(longest, base * 2.0 ** min(attempt - 1, 60))
    assert 0.75 * plain <= wait * (1 + 1e-12)
    assert wait <= min(longest, 1.25 * plain * (1 + 1e-12))


def test_the_first_wait_is_exact_whatever_the_dice_say() -> None:
    for roll in (0.0, 0.9):
        assert Backoff(base=30, longest=3600, roll=iter([roll]).__next__).after(1) == 30


def test_the_waits_of_many_tasks_are_spread() -> None:
    backoff = Backoff(base=30, longest=3600)
    assert len({backoff.after(3) for _ in range(50)}) > 40


@pytest.mark.parametrize("value", [None, 1, "a", [1, {"b": 2.5}], True])
def test_a_json_value_completes_a_task(value: Any) -> None:
    outcome = completed(value)
    assert isinstance(outcome, Completed)


def test_a_value_that_is_no_json_fails_a_task_for_good_and_says_why() -> None:
    outcome = completed({"a": object()})
    assert isinstance(outcome, Failed)
    assert outcome.error["code"] == "permanent"
    assert outcome.error["class"] == "NotStorable"
    assert outcome.error["message"].startswith("The handler's result is not JSON (")


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), MemoryError(), StopIteration()])
def test_an_exception_is_tried_again_after_the_backoff(error: BaseException) -> None:
    outcome = judged(error, attempt=2)
    assert isinstance(outcome, Retry)
    assert outcome.delay == 60
    assert outcome.error["code"] == "exception"
    assert outcome.error["class"] == type(error).__name__


def test_signals_steer() -> None:
    assert judged(Snooze(5)) == Released(5)
    assert judged(Snooze(-5)) == Released(0)
    assert judged(RetryLater("why", seconds=7)) == Retry(
        7, {"code": "exception", "class": "RetryLater", "message": "why"}
    )
    assert judged(RetryLater(seconds=-7)) == Retry(0, describe("exception", RetryLater()))
    assert judged(RetryLater("why"), attempt=3) == Retry(
        120, {"code": "exception", "class": "RetryLater", "message": "why"}
    )
    assert judged(GiveUp("never")) == Failed(
        {"code": "permanent", "class": "GiveUp", "message": "never"}
    )


def test_a_signal_without_a_reason_still_says_something() -> None:
    for signal in (GiveUp(), RetryLater(), Snooze(1)):
        assert len(str(signal)) > 10


@pytest.mark.parametrize("wait", ["soon", None, [1]])
def test_a_signal_refuses_a_wait_that_is_no_number(wait: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Snooze(wait)
    if wait is not None:
        with pytest.raises((TypeError, ValueError)):
            RetryLater(seconds=wait)


def test_an_unknown_kind_waits_an_hour_for_its_deploy_and_then_fails() -> None:
    # By the sweeper's minutes, however short or long the waits between attempts are.
    releases = UNKNOWN_KIND_GRACE // 60
    assert judged(UnknownKind(), release_count=releases - 1) == Released(60)
    assert isinstance(judged(UnknownKind(), release_count=releases), Failed)


@given(text=st.text(st.characters(), max_size=3000))
def test_an_error_is_always_storable_and_never_too_long(text: str) -> None:
    message = describe("exception", ValueError(text))["message"]
    assert len(message.encode()) <= MAX_ERROR
    assert "\0" not in message


def test_an_exception_without_a_readable_text_is_still_described() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise KeyError("nothing to say")

    assert describe("exception", Silent()) == {
        "code": "exception",
        "class": "Silent",
        "message": "The exception has no readable text.",
    }


def test_a_handler_whose_time_was_over_is_tried_again_and_its_error_says_so() -> None:
    outcome = judged(TimedOut(54.0), attempt=2)
    message = "The handler was interrupted after 54.0 s."
    error = {"code": "timeout", "class": "TimedOut", "message": message}
    assert outcome == Retry(60, error)
