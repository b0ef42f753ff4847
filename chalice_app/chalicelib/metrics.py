"""Metrics for CloudWatch, made of what the log tells anyway, as one more log line per invocation.

Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Texts = dict[str, str]
    Values = dict[str, list[float]]

logger = logging.getLogger(__name__)

#: Most values of one metric in one line. Source: as above.
MOST_VALUES = 100
#: Those that log here are not of the service, whatever they call their events.
_HANDLERS = "chalicelib.handlers"
#: What stands for a kind that no handler declares: the names of kinds stay bounded.
UNKNOWN = "unknown"

COUNT, MILLISECONDS, SECONDS = "Count", "Milliseconds", "Seconds"
#: Each metric of tasks with its unit; it has the dimension Stage, and once more Stage and Kind.
BY_KIND = {
    "Created": COUNT,
    "Completed": COUNT,
    "Failed": COUNT,
    "Retried": COUNT,
    "QueueWait": MILLISECONDS,
    "RunTime": MILLISECONDS,
}
#: Each other metric with its unit; it has the dimension Stage.
BY_STAGE = {
    "Fenced": COUNT,
    "Rescued": COUNT,
    "Resent": COUNT,
    "OutboxLag": SECONDS,
    "ColdStart": COUNT,
}
#: What an event adds to which metrics: the value of one of its fields, or 1.
TOLD_BY: dict[str, dict[str, str | int]] = {
    "task_created": {"Created": 1},
    "task_started": {"QueueWait": "queue_wait_ms"},
    # Both of them each time, so that a rate can be made of what has no gaps.
    "task_completed": {"Completed": 1, "Failed": 0, "RunTime": "duration_ms"},
    "task_failed": {"Completed": 0, "Failed": 1, "RunTime": "duration_ms"},
    "task_retrying": {"Retried": 1, "RunTime": "duration_ms"},
    "task_released": {"RunTime": "duration_ms"},
    "task_cancelled": {"RunTime": "duration_ms"},
    "task_fenced": {"Fenced": 1, "RunTime": "duration_ms"},
    "task_rescued": {"Rescued": 1},
    "task_resent": {"Resent": 1},
    "sweep_finished": {"OutboxLag": "outbox_lag_s"},
    "cold_start": {"ColdStart": 1},
}


@dataclass(slots=True)
class Collected:
    """The values of one invocation: those of tasks by kind, and the others; when the last came."""

    by_kind: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    by_stage: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    moment: float = 0.0


_collected: ContextVar[Collected | None] = ContextVar("collected", default=None)


class Metrics(logging.Handler):
    """Watches the log, and adds up what concerns an invocation."""

    def __init__(self, namespace: str, stage: str, kinds: frozenset[str]) -> None:
        """Take the metrics' namespace, the value of Stage, and the kinds that there are."""
        super().__init__()
        self._namespace = namespace
        self._stage = stage
        self._kinds = kinds

    def emit(self, record: logging.LogRecord) -> None:
        """Add what an event tells; outside of an invocation it tells nothing."""
        told, collected = TOLD_BY.get(str(record.msg)), _collected.get()
        if told is None or collected is None or record.name.startswith(_HANDLERS):
            return
        collected.moment = record.created
        kind = getattr(record, "kind", UNKNOWN)
        of_kind = collected.by_kind[kind if kind in self._kinds else UNKNOWN]
        for name, what in told.items():
            value = getattr(record, what, None) if isinstance(what, str) else what
            if value is not None:
                (of_kind if name in BY_KIND else collected.by_stage)[name].append(value)

    @contextmanager
    def invocation(self) -> Iterator[None]:
        """Collect what is told inside the block, and tell it in the end: one line for each kind."""
        collected = Collected()
        token = _collected.set(collected)
        try:
            yield
        finally:
            _collected.reset(token)
            for dimensions, units, values in self._groups(collected):
                self._tell(dimensions, units, values, collected.moment)

    def _groups(self, collected: Collected) -> Iterator[tuple[Texts, Texts, Values]]:
        for kind, values in collected.by_kind.items():
            yield {"Stage": self._stage, "Kind": kind}, BY_KIND, values
        yield {"Stage": self._stage}, BY_STAGE, collected.by_stage

    def _tell(self, dimensions: Texts, units: Texts, values: Values, moment: float) -> None:
        sets = [["Stage"], ["Stage", "Kind"]] if "Kind" in dimensions else [["Stage"]]
        sums = {name: sum(some) for name, some in values.items() if units[name] == COUNT}
        rest = {name: some for name, some in values.items() if units[name] != COUNT}
        while sums or rest:
            members = {**sums, **{name: some[:MOST_VALUES] for name, some in rest.items()}}
            metrics = [{"Name": name, "Unit": units[name]} for name in members]
            directive = {"Namespace": self._namespace, "Dimensions": sets, "Metrics": metrics}
            about = {"Timestamp": int(moment * 1000), "CloudWatchMetrics": [directive]}
            logger.info("metrics", extra={"_aws": about, **dimensions, **members})
            left = {name: some[MOST_VALUES:] for name, some in rest.items()}
            sums, rest = {}, {name: some for name, some in left.items() if some}
