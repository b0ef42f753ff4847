"""What the service tells of many tasks at once, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Times in seconds that half, 95 % and 99 % of the tasks stayed below."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in the minute that began at ``minute``."""

    minute: datetime
    created: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Depths:
    """About how many messages the queues hold; None while SQS cannot be reached."""

    tasks: int | None
    dead_letters: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How the tasks stand and fared; a count of ``count_limit`` means so many, or more.

    ``oldest_wait`` is in seconds. ``wait`` and ``run`` are of ``timed`` tasks. ``queue`` is None
    for a key that is no operator's.
    """

    at: datetime
    counts: Mapping[str, int]
    count_limit: int
    oldest_wait: float | None
    timed: int
    wait: Quantiles | None
    run: Quantiles | None
    throughput: tuple[Minute, ...]
    queue: Depths | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Read the JSON; raises LookupError, TypeError or ValueError if it is another."""
        queue = raw["queue"]
        return cls(
            at=datetime.fromisoformat(raw["at"]),
            counts=raw["counts"],
            count_limit=raw["count_limit"],
            oldest_wait=raw["oldest_wait"],
            timed=raw["timed"],
            wait=_quantiles(raw["wait"]),
            run=_quantiles(raw["run"]),
            throughput=tuple(_minute(one) for one in raw["throughput"]),
            queue=Depths(queue["tasks"], queue["dead_letters"]) if queue else None,
            raw=raw,
        )


def _quantiles(raw: Mapping[str, Any] | None) -> Quantiles | None:
    return Quantiles(raw["p50"], raw["p95"], raw["p99"]) if raw else None


def _minute(raw: Mapping[str, Any]) -> Minute:
    begun = datetime.fromisoformat(raw["minute"])
    return Minute(begun, raw["created"], raw["completed"], raw["failed"])
