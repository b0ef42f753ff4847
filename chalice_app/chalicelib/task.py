"""A task, and the life it may lead."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Status(StrEnum):
    """Where a task stands; the words are the same in SQL, JSON, logs and docs."""

    PENDING = "pending"  #: stored, waiting for a worker
    PROCESSING = "processing"  #: a worker holds its lease
    RETRYING = "retrying"  #: an attempt failed, the next one has a time
    COMPLETED = "completed"  #: final, with a result
    FAILED = "failed"  #: final, with an error
    CANCELLED = "cancelled"  #: final, by request


#: Every legal move; docs/state_machine.md and the CHECKs in sql/migrations tell the same story.
MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.PROCESSING, Status.CANCELLED, Status.FAILED}),
    Status.PROCESSING: frozenset(
        {
            Status.PROCESSING,  # the lease ran out and another worker claimed it
            Status.COMPLETED,
            Status.FAILED,
            Status.RETRYING,
            Status.CANCELLED,
        }
    ),
    Status.RETRYING: frozenset({Status.PROCESSING, Status.CANCELLED, Status.FAILED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
}

#: Those in which nothing more happens by itself.
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the table ``tasks``, as far as the outside may know it.

    ``payload`` and ``result`` hold any JSON value; ``error`` is ``{"code", "class", "message"}``,
    ``progress`` is ``{"percent", "note"}``, ``trace_id`` that of the latest attempt.
    All times are timezone-aware and come from the database's clock.
    """

    id: int
    kind: str
    title: str
    description: str | None
    payload: Any
    status: Status
    attempt: int
    attempt_limit: int
    release_count: int
    result: Any
    error: dict[str, Any] | None
    run_at: datetime
    created_at: datetime
    updated_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    cancel_requested_at: datetime | None
    unique_key: str | None
    callback_url: str | None
    limit_key: str | None
    priority: str
    progress: dict[str, Any] | None
    trace_id: str | None
    tags: list[str] = field(default_factory=list)

    @property
    def attempts_spent(self) -> int:
        """Attempts that counted: those that were given back are left out."""
        return self.attempt - self.release_count

    @property
    def version(self) -> datetime:
        """When the task last changed; no two versions of a task have the same time."""
        return self.updated_at or self.created_at

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Task:
        """Read a row; columns that a newer schema added are passed over."""
        values = {name: row[name] for name in _COLUMNS}
        values["status"] = Status(values["status"])
        return cls(**values)


_COLUMNS = tuple(column.name for column in fields(Task))
