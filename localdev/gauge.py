"""Counts what is in progress."""

from __future__ import annotations

import threading


class Gauge:
    """A number that is one higher inside each block that enters it."""

    def __init__(self) -> None:
        """Start at none."""
        self._lock = threading.Lock()
        self.value = 0

    def __enter__(self) -> None:
        """One more."""
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        with self._lock:
            self.value -= 1
