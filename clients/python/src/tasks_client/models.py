"""What the service answers, as frozen values; keys that a newer service added stay in ``raw``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(StrEnum):
    """Where a task stands; a newer service may know others."""

    PENDING = "pending"  #: waiting for a worker
    PROCESSING = "processing"  #: being worked
    RETRYING = "retrying"  #: an attempt failed, the next one has a time
    COMPLETED = "completed"  #: final, with a result
    FAILED = "failed"  #: final, with an error
    CANCELLED = "cancelled"  #: final, by request


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt or a task failed; ``kind`` is the class of the exception, if there was one."""

    code: str
    message: str
    kind: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any] | None) -> Self | None:
        """Read ``{"code", "class"?, "message"}``; None of None."""
        if raw is None:
            return None
        return cls(code=raw["code"], message=raw.get("message", ""), kind=raw.get("class"))

    def __str__(self) -> str:
        """Show it in a line."""
        return ": ".join(part for part in (self.code, self.kind, self.message) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the service told it; times have an offset.

    ``status`` is a text that compares with ``Status``. ``etag`` names this version of the task,
    where the service gave it. ``existed`` says that ``unique_key`` found this task instead of
    creating one. What clients sent and handlers returned is left out of ``repr``.
    """

    id: int
    title: str = field(repr=False)
    status: str
    kind: str
    attempt: int
    attempt_limit: int
    tags: tuple[str, ...]
    description: str | None = field(repr=False)
    payload: Any = field(repr=False)
    result: Any = field(repr=False)
    error: Failure | None = field(repr=False)
    created_at: datetime
    updated_at: datetime | None = field(repr=False)
    run_at: datetime | None = field(repr=False)
    started_at: datetime | None = field(repr=False)
    finished_at: datetime | None = field(repr=False)
    expires_at: datetime | None = field(repr=False)
    cancel_requested_at: datetime | None = field(repr=False)
    unique_key: str | None = field(repr=False)
    callback_url: str | None = field(repr=False)
    limit_key: str | None = field(repr=False)
    priority: str = field(repr=False)
    trace_id: str | None = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    etag: str | None = field(default=None, repr=False, compare=False)
    existed: bool = field(default=False, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any], etag: str | None = None, *, existed: bool = False) -> Self:
        """Read a task's JSON; raises LookupError, TypeError or ValueError if it is none."""
        return cls(
            id=int(raw["id"]),
            title=raw["title"],
            status=raw["status"],
            kind=raw.get("kind", "default"),
            attempt=raw.get("attempt", 0),
            attempt_limit=raw.get("attempt_limit", 0),
            tags=tuple(raw.get("tags") or ()),
            description=raw.get("description"),
            payload=raw.get("payload"),
            result=raw.get("result"),
            error=Failure.of(raw.get("error")),
            unique_key=raw.get("unique_key"),
            callback_url=raw.get("callback_url"),
            limit_key=raw.get("limit_key"),
            priority=raw.get("priority", "normal"),
            trace_id=raw.get("trace_id"),
            created_at=datetime.fromisoformat(raw["created_at"]),
            **{name: _time(raw, name) for name in _TIMES},
            raw=raw,
            etag=etag,
            existed=existed,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it, unless somebody retries it."""
        return self.status in FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it is completed."""
        return self.status == Status.COMPLETED


_TIMES = (
    "updated_at",
    "run_at",
    "started_at",
    "finished_at",
    "expires_at",
    "cancel_requested_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task's handler; ``duration`` is in seconds. The ids are those of AWS's logs."""

    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    outcome: str | None
    error: Failure | None
    request_id: str | None
    message_id: str | None
    receive_count: int | None
    trace_id: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Read an attempt's JSON; raises LookupError, TypeError or ValueError if it is none."""
        return cls(
            attempt=int(raw["attempt"]),
            started_at=_time(raw, "started_at"),
            ended_at=_time(raw, "ended_at"),
            duration=raw.get("duration"),
            outcome=raw.get("outcome"),
            error=Failure.of(raw.get("error")),
            request_id=raw.get("request_id"),
            message_id=raw.get("message_id"),
            receive_count=raw.get("receive_count"),
            trace_id=raw.get("trace_id"),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks, newest first; ``next_cursor`` is None on the last page."""

    items: tuple[Task, ...]
    next_cursor: str | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Read a page's JSON; raises LookupError, TypeError or ValueError if it is none."""
        return cls(tuple(Task.of(item) for item in raw["items"]), raw.get("next_cursor"))


@dataclass(frozen=True, slots=True)
class Retried:
    """The ids of tasks that were given new attempts; ``next_cursor`` if there may be more."""

    ids: tuple[int, ...]
    more: bool
    next_cursor: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Read the JSON; raises LookupError or TypeError if it is another."""
        return cls(tuple(raw["ids"]), bool(raw["more"]), raw.get("next_cursor"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far many tasks are; ``total`` may rise while more are created."""

    total: int
    completed: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, statuses: Mapping[str, int], total: int) -> Self:
        """Take how many tasks have each status."""
        return cls(total=total, **{status.value: statuses.get(status, 0) for status in FINAL})

    @property
    def finished(self) -> int:
        """How many are final."""
        return self.completed + self.failed + self.cancelled


def _time(raw: Mapping[str, Any], name: str) -> datetime | None:
    text = raw.get(name)
    return None if text is None else datetime.fromisoformat(text)
