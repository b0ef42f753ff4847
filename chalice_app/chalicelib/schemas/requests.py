"""What clients send."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads it)
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from chalicelib.schemas.fields import (
    Cursor,
    Delay,
    Description,
    Kind,
    LimitKey,
    Many,
    Minutes,
    Moment,
    PageSize,
    Payload,
    Shape,
    Tag,
    Tags,
    Title,
    Url,
    Words,
    storable,
)
from chalicelib.task import Status  # noqa: TC001  (pydantic reads it)

#: The longest unique key, in characters.
MAX_UNIQUE_KEY = 200


class _Begin(Shape):
    """When to begin: a time with its offset, or seconds from now."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run_at: Moment | None = None
    delay_seconds: Delay | None = None
    #: Fails the task if it was not begun by then.
    expires_at: Moment | None = None

    @field_validator("expires_at")
    @classmethod
    def _after_it_begins(cls, expires_at: datetime | None, info: ValidationInfo) -> datetime | None:
        run_at = info.data.get("run_at")
        if expires_at is not None and run_at is not None and expires_at <= run_at:
            raise ValueError("must be after run_at")
        return expires_at

    @model_validator(mode="after")
    def _one_time_to_begin(self) -> Self:
        if self.run_at is not None and self.delay_seconds is not None:
            raise ValueError("give run_at or delay_seconds, not both")
        return self


class What(Shape):
    """What a task is, whenever it begins."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Title
    description: Description | None = None
    kind: Kind = "default"
    payload: Payload | None = None
    tags: Tags = []  # noqa: RUF012  (pydantic copies it)
    #: Who is told, by a signed POST, when the task is finished.
    callback_url: Url | None = None
    #: Which share of its kind's limits it counts against.
    limit_key: LimitKey | None = None
    #: Whether it goes by a queue of its own, before which there is no backlog of others.
    priority: Literal["normal", "high"] | None = None


class NewTask(_Begin, What):
    """A task to create; it begins at once unless a time is given."""

    #: While a task with the key is open (or, with the scope `forever`, as long as it is kept), that
    #: one is answered with instead of a new one.
    unique_key: Annotated[str, Field(pattern=rf"^[!-~]{{1,{MAX_UNIQUE_KEY}}}$")] | None = None
    unique_scope: Literal["open", "forever"] | None = None

    @model_validator(mode="after")
    def _scope_of_a_key(self) -> Self:
        if self.unique_scope is not None and self.unique_key is None:
            raise ValueError("unique_scope needs a unique_key")
        return self

    def columns(self) -> dict[str, Any]:
        """Return what is stored, as JSON values."""
        columns = self.model_dump(mode="json", exclude={"delay_seconds"}, exclude_none=True)
        if self.unique_key is not None:
            columns["unique_scope"] = self.unique_scope or "open"
        return columns | {"delay": self.delay_seconds or 0}


def _as_small_as_one_alone(task: NewTask) -> NewTask:
    storable(task.model_dump(mode="json", exclude_unset=True))
    return task


class NewBatch(Shape):
    """Tasks to create, all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: Annotated[
        list[Annotated[NewTask, AfterValidator(_as_small_as_one_alone)]],
        Field(min_length=1, max_length=1000),
    ]


class TaskChanges(_Begin):
    """What to change of a task that waits; what is left out stays, and null removes (RFC 7396)."""

    title: Title = ""
    description: Description | None = None
    payload: Payload | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.columns():
            raise ValueError("name at least one field to change")
        return self

    def columns(self) -> dict[str, Any]:
        """Return what is to be stored, as JSON values; only what was given."""
        columns = self.model_dump(mode="json", exclude_unset=True)
        if "tags" in columns:
            columns["tags"] = columns["tags"] or []
        delay = columns.pop("delay_seconds", None)
        if "run_at" in columns and columns["run_at"] is None:
            delay = delay or 0  # without a time, a task begins at once
        return columns if delay is None else columns | {"delay": delay}


class Filter(Shape):
    """Which tasks; a task has to fit all that is given."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = None
    tag: Tag | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    #: Words of the title; the last one may be the beginning of one.
    text: Words | None = None


class ListQuery(Filter):
    """The query of GET /tasks."""

    status: Status | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None


class StatsQuery(Shape):
    """The query of GET /stats."""

    model_config = ConfigDict(extra="forbid")

    #: How many minutes to look back, this one included.
    minutes: Minutes = 60


class RetryMany(Filter):
    """Which finished tasks to give new attempts, oldest first."""

    status: Literal["failed", "cancelled"] = "failed"
    limit: Many = 1000
    cursor: Cursor | None = None
