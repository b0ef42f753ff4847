"""What an attempt leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.errors import NotStorable, Stopped
from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.task import Status

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.task import Task


@dataclass(slots=True, kw_only=True)
class Ran:
    """An attempt that was made, and what it did.

    ``task`` is what the handler was given, ``at`` when it began, ``outcome`` what the worker makes
    of it, ``raised`` what the handler raised.

    ``progress`` holds what was told, ``heartbeats`` counts the others; ``steps`` are those made by
    this attempt and earlier ones; ``statements`` are those of its transaction, with their
    arguments; ``log`` has the lines of context.log, as they would be written. ``enqueued`` holds
    the tasks it made, as they are stored: none, unless it completed.
    """

    task: Task
    at: datetime
    outcome: Outcome = field(default_factory=lambda: Released(0))
    raised: BaseException | None = None
    progress: list[dict[str, Any]] = field(default_factory=list)
    heartbeats: int = 0
    steps: dict[str, Any] = field(default_factory=dict)
    statements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    enqueued: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """How the task stands then; ``retrying`` is a failed attempt with another one left."""
        match self.outcome:
            case Completed():
                return Status.COMPLETED
            case Released():
                return Status.RETRYING
            case Retry() if isinstance(self.raised, Stopped):
                return Status.CANCELLED
            case Retry() if self.task.attempt < self.task.attempt_limit:
                return Status.RETRYING
            case Retry() | Failed():
                return Status.FAILED
            case _:
                assert_never(self.outcome)

    @property
    def result(self) -> Any:
        """What the handler returned, as it is stored; raises what it raised.

        NotStorable for what it returned and is no JSON, or too large.
        """
        if isinstance(self.outcome, Completed):
            return json.loads(self.outcome.result)
        raise self.raised or NotStorable((self.error or {})["message"])

    @property
    def error(self) -> dict[str, Any] | None:
        """What clients are shown of a failure: ``{"code", "class", "message"}``."""
        return self.outcome.error if isinstance(self.outcome, Retry | Failed) else None

    @property
    def wait(self) -> float | None:
        """In how many seconds the task runs again, if it does."""
        if isinstance(self.outcome, Retry | Released) and self.status is Status.RETRYING:
            return self.outcome.delay
        return None
