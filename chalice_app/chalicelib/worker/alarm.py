"""Interrupts a handler shortly before its invocation ends, so that its attempt can be settled."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib.errors import TimedOut
from chalicelib.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from chalicelib.registry import Context
    from chalicelib.settings import Settings
    from chalicelib.task import Task

    Run = Callable[[Task, Context], Any]

#: What is kept, in seconds, for hiding messages and for telling Lambda.
TELLING = 2.0


def margin(settings: Settings) -> float:
    """Return how many seconds before its invocation's end a handler is interrupted.

    Enough for one statement, however slow, but no more than a sixth of the time limit.
    """
    return min(settings.worker_timeout / 6, settings.database_patience + TELLING)


class Alarm:
    """What runs handlers, and interrupts one whose time is over."""

    def __init__(self, run: Run, settings: Settings) -> None:
        """Take what calls the handler of a task."""
        self._call = run
        self._margin = margin(settings)
        self._deaf = False

    def run(self, task: Task, context: Context) -> Any:
        """Return what the handler returns; raises what it raises.

        TimedOut is raised in the handler when its time is over, and again and again after that,
        in case it was swallowed. Signals reach the main thread only, where Lambda runs us; on any
        other one nothing is interrupted.
        """
        if threading.current_thread() is not threading.main_thread():
            return self._call(task, context)
        begun, left = time.monotonic(), context.remaining()
        # Whoever is given little time has half of it; nothing at all would mean no alarm.
        after = max(left - self._margin, left / 2, 0.001)

        def ring(_: int, frame: FrameType | None) -> None:
            # Neither where the handler has returned already, nor in code of ours that it called.
            if not self._deaf and frame is not None and frame.f_code not in _AROUND:
                raise TimedOut(time.monotonic() - begun)

        context = replace(context, heartbeat=self._undisturbed(context.heartbeat))
        others = signal.signal(signal.SIGALRM, ring)
        timer = signal.setitimer(signal.ITIMER_REAL, after, self._margin / 4)
        try:
            return self._call(task, context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # Here a signal that is on its way is seen. None: a handler that is not Python's.
            signal.signal(signal.SIGALRM, others or signal.SIG_DFL)
            _resume(timer, time.monotonic() - begun)

    def _undisturbed(self, heartbeat: Callable[[], None]) -> Callable[[], None]:
        def beat() -> None:
            self._deaf = True
            try:
                heartbeat()
            finally:
                self._deaf = False

        return beat


def _resume(timer: tuple[float, float], passed: float) -> None:
    # A timer that somebody had set before goes on; 0 means that there was none.
    delay, interval = timer
    if delay:
        signal.setitimer(signal.ITIMER_REAL, max(delay - passed, 0.001), interval)


#: The functions around a handler.
_AROUND = frozenset({Alarm.run.__code__, Registry.run.__code__})
