"""What a simulation tells."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Told:
    """Counts and times, in seconds; a wait lasts from when a task was first asked for."""

    tasks: int = 0
    done: int = 0
    #: When the last task was settled.
    drained: float = 0.0
    #: Until the claim; until its handler began; until the client had its answer.
    claimed: array[float] = field(default_factory=lambda: array("d"))
    waits: array[float] = field(default_factory=lambda: array("d"))
    accepted: array[float] = field(default_factory=lambda: array("d"))
    begins: array[float] = field(default_factory=lambda: array("d"))
    #: Requests that were refused, each as often as it was.
    refused: int = 0
    #: How often each limit refused a request or kept the mapping from a batch.
    bound: Counter[str] = field(default_factory=Counter)
    peaks: Counter[str] = field(default_factory=Counter)
    statements: int = 0
    #: Seconds of the database's cores.
    busy: float = 0.0
    sqs_calls: int = 0
    #: Each second: messages waiting, batches in work.
    seconds: list[tuple[float, int, int]] = field(default_factory=list)

    def started(self, now: float, wait: float) -> None:
        """Note that a handler began."""
        self.begins.append(now)
        self.waits.append(wait)

    def finished(self, now: float, tasks: int) -> None:
        """Note that tasks were settled."""
        self.done += tasks
        self.drained = max(self.drained, now)

    def peak(self, name: str, value: int) -> None:
        """Note a value of which the greatest counts."""
        self.peaks[name] = max(self.peaks[name], value)

    def second(self, now: float, waiting: int, batches: int) -> None:
        """Note how it stands at a second."""
        self.seconds.append((now, waiting, batches))
        self.peak("waiting", waiting)

    def over_time(self, width: float) -> Iterator[tuple[float, int, float, float]]:
        """Yield, by the time at which handlers began: when, how many, p50 and p99 of the wait."""
        slots: dict[int, list[float]] = {}
        for begin, wait in zip(self.begins, self.waits, strict=True):
            slots.setdefault(int(begin / width), []).append(wait)
        for slot, waits in sorted(slots.items()):
            yield slot * width, len(waits), percentile(waits, 50), percentile(waits, 99)
