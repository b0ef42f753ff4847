"""What app.py declares: which functions there are and what invokes them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class QueueSource:
    """A function invoked with batches of messages; the window is in seconds."""

    function: str
    queue: str
    batch_size: int
    window: int
    concurrency: int


@dataclass(frozen=True)
class Schedule:
    """A function invoked every ``seconds``; None if its expression is not a rate."""

    function: str
    seconds: int | None
    expression: str


@dataclass(frozen=True)
class Declared:
    """All that a Chalice app declares besides its routes."""

    functions: frozenset[str]
    queues: tuple[QueueSource, ...]
    schedules: tuple[Schedule, ...]


def read(app: Any) -> Declared:
    """Return what the Chalice object ``app`` declares."""
    queues, schedules = [], []
    for source in app.event_sources:
        if hasattr(source, "schedule_expression"):
            schedules.append(_schedule(source))
        elif hasattr(source, "queue_arn"):
            queues.append(_queue(source))
    return Declared(frozenset(app.handler_map), tuple(queues), tuple(schedules))


def stage_environ(app_folder: Path, function: str | None = None) -> dict[str, str]:
    """Return the variables that .chalice/config.json sets for the stage `dev`.

    Chalice lets them win over the shell's, so they do here. ``function`` adds its own.
    """
    file = app_folder / ".chalice" / "config.json"
    if not file.exists():
        return {}
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    stage = config.get("stages", {}).get("dev", {})
    own = stage.get("lambda_functions", {}).get(function, {})
    levels = [level.get("environment_variables", {}) for level in (config, stage, own)]
    return {str(name): str(value) for level in levels for name, value in level.items()}


def seconds_of(expression: str) -> int | None:
    """Return how many seconds lie between two ticks of a schedule; None if it is not a rate."""
    rate = _RATE.fullmatch(expression)
    return int(rate[1]) * _SECONDS[rate[2]] if rate else None


def _queue(source: Any) -> QueueSource:
    name = source.queue or source.queue_arn.rsplit(":", 1)[-1]
    return QueueSource(
        function=source.name,
        queue=name,
        batch_size=source.batch_size,
        window=source.maximum_batching_window_in_seconds or 0,
        concurrency=source.maximum_concurrency or os.cpu_count() or 1,
    )


def _schedule(source: Any) -> Schedule:
    expression = source.schedule_expression
    text = expression if isinstance(expression, str) else expression.to_string()
    return Schedule(source.name, seconds_of(text), text)
