"""Waits for a task to change, by looking again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store import Found

#: Seconds between two looks: short at first, for most tasks are short.
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.01, 0.08, 1.25


def wait_until(done: Callable[[Found], bool], read: Callable[[], Found], seconds: float) -> Found:
    """Read until ``done`` or until so many seconds are over; return what was read last."""
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        found = read()
        left = deadline - time.monotonic()
        if left <= 0 or done(found):
            return found
        time.sleep(min(pause, left))
        pause = min(LONGEST_PAUSE, pause * GROWTH)
