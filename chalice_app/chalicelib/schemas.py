"""The HTTP contract: what clients send and what they get."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from chalicelib import strict_json
from chalicelib.errors import NotStorable
from chalicelib.task import Status, Task  # noqa: TC001  (pydantic reads them)

#: The longest delay that may be asked for, in seconds.
YEAR = 366 * 24 * 60 * 60


def _storable(value: Any) -> Any:
    try:
        strict_json.encode(value)
    except NotStorable as error:
        raise ValueError(str(error)) from None
    return value


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("must be a whole number")
    return text


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_zulu, return_type=str)]
#: A time that a client gives: ISO 8601 with an offset, within the years that every part can tell.
Moment = Annotated[
    AwareDatetime,
    Field(strict=False, ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]


class NewTask(BaseModel):
    """The body of POST /tasks."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Annotated[
        str,
        Field(min_length=1, max_length=255),
        AfterValidator(_storable),
        AfterValidator(_not_blank),
    ]
    description: Annotated[str, AfterValidator(_storable)] | None = None
    kind: Annotated[str, Field(min_length=1, max_length=100)] = "default"
    payload: Annotated[dict[str, Any], AfterValidator(_storable)] | None = None
    #: When to begin: a time with its offset, or seconds from now; at once if neither is given.
    run_at: Moment | None = None
    delay_seconds: Annotated[float, Field(ge=0, le=YEAR)] | None = None
    #: Fails the task if it was not begun by then.
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _one_time_to_begin(self) -> Self:
        if self.run_at is not None and self.delay_seconds is not None:
            raise ValueError("give run_at or delay_seconds, not both")
        return self


class ListQuery(BaseModel):
    """The query of GET /tasks."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, BeforeValidator(_digits), Field(ge=1, le=100)] = 50
    cursor: Annotated[str, Field(max_length=100)] | None = None


class TaskView(BaseModel):
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

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, task: Task) -> Self:
        """Show ``task``; attempts that were given back are not counted against its limit."""
        view = cls.model_validate(task)
        view.attempt = task.attempts_spent
        view.attempt_limit -= task.release_count
        return view


class TaskPage(BaseModel):
    """One page of tasks, newest first; ``next_cursor`` is null on the last one."""

    items: list[TaskView]
    next_cursor: str | None


class Health(BaseModel):
    """That the service answers, or that it could work a task."""

    status: str = "ok"
