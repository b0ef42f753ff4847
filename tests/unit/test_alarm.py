"""A handler whose time is over is interrupted, and nothing else is."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import TimedOut
from chalicelib.registry import Context, Registry
from chalicelib.settings import Settings
from chalicelib.store import Claim
from chalicelib.worker.alarm import Alarm, margin, time_for
from chalicelib.worker.powers import Powers
from tests.contexts import context
from tests.unit.test_registry import task

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Handler

SETTINGS = Settings.model_validate({"worker_timeout": 2})
CLAIM = Claim(task=task(), tenant="default", steps={})
BENCH: Any = None  # what no handler here asks for
LONG = 5.0  # seconds: whoever sleeps so long was not interrupted


def run(action: Handler, *, left: float = 0.1, heartbeat: Callable[[], None] = lambda: None) -> Any:
    """Run a handler in an invocation of which ``left`` seconds remain."""
    registry = Registry()
    registry.handler("a")(action)
    # As much as an attempt has in an invocation that has so little time left.
    seconds = time_for(left, margin(SETTINGS), None)
    powers = Powers(CLAIM, BENCH, renewing(heartbeat), lambda: seconds)
    return Alarm(registry.run, SETTINGS).run(task(), context(seconds=seconds, powers=powers))


def renewing(heartbeat: Callable[[], None]) -> Callable[..., bool]:
    def renew(**_kept: Any) -> bool:
        heartbeat()
        return True

    return renew


def sleeping(_task: Any, _context: Any) -> str:
    time.sleep(LONG)
    return "slept"


def test_a_handler_that_takes_too_long_is_interrupted_and_told_after_how_many_seconds() -> None:
    with pytest.raises(TimedOut, match=r"^The handler was interrupted after 0\.[1-9] s\.$"):
        run(sleeping, left=0.2)


def test_a_handler_that_catches_every_exception_is_interrupted_all_the_same() -> None:
    def stubborn(_task: Any, _context: Any) -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(LONG)

    with pytest.raises(TimedOut):
        run(stubborn)


def test_a_handler_that_swallowed_the_interruption_is_interrupted_again() -> None:
    rung = []

    def deaf(_task: Any, _context: Any) -> None:
        for _ in range(2):
            try:
                time.sleep(LONG)
            except BaseException as error:  # noqa: BLE001  (as people write it)
                rung.append(error)
        time.sleep(LONG)

    with pytest.raises(TimedOut):
        run(deaf)
    assert [type(one) for one in rung] == [TimedOut, TimedOut]


def test_a_handler_cleans_up_before_it_lets_the_interruption_pass() -> None:
    cleaned = []

    def careful(_task: Any, _context: Any) -> None:
        try:
            time.sleep(LONG)
        finally:
            cleaned.append(True)

    with pytest.raises(TimedOut):
        run(careful)
    assert cleaned


@pytest.mark.parametrize("action", [lambda *_: "done", sleeping])
def test_the_alarm_is_off_when_the_handler_is_gone(action: Handler) -> None:
    before, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with contextlib.suppress(TimedOut):
        assert run(action) == "done"
    assert signal.getsignal(signal.SIGALRM) is before
    # Somebody else's timer (here it is the one that limits this test) goes on as if unseen.
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert bool(left) == bool(timer[0])
    assert timer[0] - 2 < left <= timer[0]
    assert interval == timer[1]


def test_an_alarm_that_comes_when_the_handler_has_returned_is_not_heard() -> None:
    def calls(_task: Any, _context: Any) -> str:
        ring: Any = signal.getsignal(signal.SIGALRM)
        around = [sys._getframe(1), sys._getframe(2)]
        assert [frame.f_code for frame in around] == [Registry.run.__code__, Alarm.run.__code__]
        for frame in around:
            ring(signal.SIGALRM, frame)
        with pytest.raises(TimedOut):
            ring(signal.SIGALRM, sys._getframe())
        return "done"

    assert run(calls, left=LONG) == "done"


def test_an_alarm_never_escapes_from_the_run_it_was_set_for() -> None:
    ended = {"done": 0, "interrupted": 0}

    def busy(_task: Any, _context: Any) -> str:
        until = time.monotonic() + 0.001
        while time.monotonic() < until:
            pass
        return "done"

    for _ in range(500):  # the alarm and the end of the handler are never far from each other
        try:
            ended[run(busy, left=0.002)] += 1
        except TimedOut:
            ended["interrupted"] += 1
        for _ in range(20):
            time.monotonic()  # here it would be heard
    assert sum(ended.values()) == 500


def test_a_heartbeat_is_not_interrupted_but_the_handler_is_when_it_is_over() -> None:
    beaten = []

    def heartbeat() -> None:
        time.sleep(0.3)
        beaten.append(True)

    def beating(_task: Any, context: Context) -> None:
        context.heartbeat()
        time.sleep(LONG)

    with pytest.raises(TimedOut):
        run(beating, heartbeat=heartbeat)
    assert beaten


def test_beside_the_main_thread_nothing_is_interrupted() -> None:
    results = []

    def slow(_task: Any, _context: Any) -> str:
        time.sleep(0.3)
        return "done"

    thread = threading.Thread(target=lambda: results.append(run(slow)))
    thread.start()
    thread.join()
    assert results == ["done"]


@pytest.mark.parametrize(
    ("limit", "patience", "expected"), [(2, 4, 1 / 3), (60, 4, 6), (900, 4, 6), (900, 60, 62)]
)
def test_a_slow_statement_fits_between_the_interruption_and_the_end_but_no_more_than_needed(
    limit: int, patience: float, expected: float
) -> None:
    values = {"worker_timeout": limit, "database_patience": patience}
    assert margin(Settings.model_validate(values)) == pytest.approx(expected)
