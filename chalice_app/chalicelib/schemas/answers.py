"""What clients get."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads it)
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field

from chalicelib.schemas.fields import Shape, Time
from chalicelib.task import Status  # noqa: TC001  (the same)
from chalicelib.tracing import id_in

if TYPE_CHECKING:
    from chalicelib.task import Task


class Progress(Shape):
    """How far the work on a task is, as its handler last told."""

    percent: float
    note: str | None


class TaskView(Shape):
    """A task as clients see it; times are ISO 8601 in UTC with microseconds and Z."""

    id: int
    title: str
    description: str | None
    status: Status
    created_at: Time
    updated_at: Time | None
    result: Any
    kind: str
    payload: Any
    attempt: int
    attempt_limit: int
    error: dict[str, Any] | None
    run_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    cancel_requested_at: Time | None
    tags: list[str]
    unique_key: str | None
    callback_url: str | None
    limit_key: str | None
    priority: Literal["normal", "high"]
    #: How far a handler says it is, if it says so.
    progress: Progress | None
    #: The trace of the latest attempt; null before the first one, and where it was not traced.
    trace_id: str | None
    #: Where the task is, and what can be done with it now.
    links: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)

    #: For headers only: when the task last changed, and the seconds until it is due.
    version: datetime = Field(exclude=True)
    wait: float = Field(0.0, exclude=True)

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, task: Task, wait: float = 0.0) -> Self:
        """Show ``task``; attempts that were given back are not counted against its limit."""
        view = cls.model_validate(task)
        view.attempt = task.attempts_spent
        view.attempt_limit -= task.release_count
        view.wait = wait
        view.trace_id = id_in(view.trace_id)
        return view


class TaskPage(Shape):
    """One page of tasks, newest first; ``next_cursor`` is null on the last one."""

    items: list[TaskView]
    next_cursor: str | None


class Created(Shape):
    """What became of a request for a new task.

    ``created`` is False where a unique key was taken. ``replayed`` is True where the request was
    answered before; ``created`` then is what it was answered. ``waited`` tells whether a wait that
    was asked for could be kept.
    """

    task: TaskView
    created: bool
    replayed: bool
    waited: bool


class Batch(Shape):
    """The tasks of a batch, in the order in which they were asked for."""

    items: list[TaskView]
    #: For a header only.
    replayed: bool = Field(exclude=True)


class Attempt(Shape):
    """One attempt; an open one has no end, and ``duration`` is in seconds.

    ``outcome`` is processing, completed, retrying, failed, cancelled or crashed.
    """

    attempt: int
    started_at: Time
    ended_at: Time | None
    duration: float | None
    outcome: str
    error: dict[str, Any] | None
    request_id: str | None
    message_id: str | None
    receive_count: int | None
    trace_id: str | None


class Attempts(Shape):
    """Every attempt of a task that counted, the first one first."""

    items: list[Attempt]


class Retried(Shape):
    """The tasks that were given new attempts; ``more`` tells whether to ask again, from where."""

    ids: list[int]
    more: bool
    next_cursor: str | None


class KindView(Shape):
    """A kind of task; ``payload`` is the JSON Schema that its payload has to fit, if it has one."""

    kind: str
    description: str | None
    payload: dict[str, Any] | None


class Kinds(Shape):
    """Every kind that has a handler, by name."""

    items: list[KindView]


class Health(Shape):
    """That the service answers, or that it could work a task."""

    status: str = "ok"
