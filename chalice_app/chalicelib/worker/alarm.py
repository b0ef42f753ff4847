"""Interrupts a handler at its deadline, in time for its attempt to be settled."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from chalicelib.errors import TimedOut
from chalicelib.registry import Registry
from chalicelib.worker.powers import UNTORN

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from chalicelib.context import Context
    from chalicelib.settings import Settings
    from chalicelib.task import Task

    Run = Callable[[Task, Context[Any]], Any]

#: What is kept, in seconds, for hiding messages and for telling Lambda.
TELLING = 2.0


def margin(settings: Settings) -> float:
    """Return how many seconds before its invocation's end a handler is interrupted.

    Enough for one statement, however slow, but no more than a sixth of the time limit.
    """
    return min(settings.worker_timeout / 6, settings.database_patience + TELLING)


def time_for(left: float, margin: float, timeout: float | None) -> float:
    """Return how many seconds an attempt may take in an invocation that has ``left`` seconds.

    ``timeout`` is what its kind allows. Whoever is given little time has half of it.
    """
    return min(max(left - margin, left / 2), math.inf if timeout is None else timeout)


class Alarm:
    """What runs handlers, and interrupts one whose time is over."""

    def __init__(self, run: Run, settings: Settings) -> None:
        """Take what calls the handler of a task."""
        self._call = run
        self._again = margin(settings) / 4

    def run(self, task: Task, context: Context[Any]) -> Any:
        """Return what the handler returns; raises what it raises.

        TimedOut is raised in the handler at its deadline, and again and again after that, in case
        it was swallowed. Signals reach the main thread only, where Lambda runs us; on any other
        one nothing is interrupted.
        """
        if threading.current_thread() is not threading.main_thread():
            return self._call(task, context)
        begun = time.monotonic()

        def ring(_: int, frame: FrameType | None) -> None:
            if frame is not None and _may_interrupt(frame):
                raise TimedOut(time.monotonic() - begun)

        others = signal.signal(signal.SIGALRM, ring)
        # No time at all would mean no alarm.
        after = max(context.remaining(), 0.001)
        timer = signal.setitimer(signal.ITIMER_REAL, after, self._again)
        try:
            return self._call(task, context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # Here a signal that is on its way is seen. None: a handler that is not Python's.
            signal.signal(signal.SIGALRM, others or signal.SIG_DFL)
            _resume(timer, time.monotonic() - begun)


def _may_interrupt(frame: FrameType) -> bool:
    # Neither where the handler has returned already, nor in code of ours that it called.
    if frame.f_code in _AROUND:
        return False
    above: FrameType | None = frame
    while above is not None and above.f_code not in _AROUND:
        if above.f_code in UNTORN:
            return False
        above = above.f_back
    return True


def _resume(timer: tuple[float, float], passed: float) -> None:
    # A timer that somebody had set before goes on; 0 means that there was none.
    delay, interval = timer
    if delay:
        signal.setitimer(signal.ITIMER_REAL, max(delay - passed, 0.001), interval)


#: The functions around a handler.
_AROUND = frozenset({Alarm.run.__code__, Registry.run.__code__})
