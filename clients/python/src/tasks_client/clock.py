"""The only clock: seconds that only rise, and a sleep."""

from __future__ import annotations

import time


def now() -> float:
    """Return seconds since some moment in the past; they only rise."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Do nothing for so many seconds."""
    time.sleep(seconds)
