"""The schedule: invokes a function at a fixed rate, in its own process."""

from __future__ import annotations

import threading
import time

from localdev.mapping.events import scheduled_event
from localdev.mapping.function import Function, InvocationFailed
from localdev.mapping.report import report


class Clock:
    """Invokes ``function`` every ``seconds``, never twice at once, until ``stopping`` is set."""

    def __init__(
        self, function: Function, seconds: float, region: str, stopping: threading.Event
    ) -> None:
        """Wait for start(); the first invocation comes ``seconds`` after it."""
        self.function = function
        self._seconds = seconds
        self._region = region
        self._stopping = stopping

    def start(self) -> None:
        """Start the thread."""
        name = f"clock-{self.function.name}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        due = time.monotonic() + self._seconds
        while not self._stopping.wait(max(0, due - time.monotonic())):
            # Ticks missed while one took too long are not made up for.
            due = max(due + self._seconds, time.monotonic())
            try:
                self.function.invoke(scheduled_event(self.function.name, self._region))
            except InvocationFailed as failure:
                if not self._stopping.is_set():
                    report(
                        "invocation_failed",
                        "ERROR",
                        function=self.function.name,
                        error=str(failure),
                    )
