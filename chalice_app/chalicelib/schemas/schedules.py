"""What makes tasks again and again, as clients send and see it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from chalicelib.occurrences import check_cron, check_zone
from chalicelib.schemas.fields import Cursor, Name, PageSize, Shape, Time, storable
from chalicelib.schemas.requests import What

Cron = Annotated[str, Field(max_length=200), AfterValidator(check_cron)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(check_zone)]
Missed = Literal["skip", "catch_up"]


class ScheduledTask(What):
    """A task as it is made each time; it begins at once."""

    def columns(self) -> dict[str, Any]:
        """Return what is stored, as JSON values."""
        return self.model_dump(mode="json", exclude_none=True)


Task = Annotated[ScheduledTask, AfterValidator(lambda task: storable(task.columns()) and task)]


class NewSchedule(Shape):
    """A schedule to make; each name is one of the tenant's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    #: Minute, hour, day of month, month, day of week.
    cron: Cron
    time_zone: Zone = "UTC"
    task: Task
    #: What becomes of times at which the service was away: `skip` them, or `catch_up`.
    missed: Missed = "skip"
    paused: bool = False


class ScheduleChanges(Shape):
    """What to change of a schedule; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = ""
    cron: Cron = ""
    time_zone: Zone = ""
    task: Task = Field(default=cast("Any", None))  # left out, never null
    missed: Missed = "skip"
    paused: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        return self

    def columns(self) -> dict[str, Any]:
        """Return what is to be stored, as JSON values; only what was given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return given | ({"task": self.task.columns()} if self.task else {})


class ScheduleQuery(Shape):
    """The query of GET /schedules."""

    model_config = ConfigDict(extra="forbid")

    limit: PageSize = 50
    cursor: Cursor | None = None


class ScheduleView(Shape):
    """A schedule as clients see it."""

    id: int
    name: str
    cron: str
    time_zone: str
    task: dict[str, Any]
    missed: str
    paused: bool
    #: The next times at which a task is made, five at most; none while it is paused.
    next: list[Time]
    #: The time that the newest task was made for.
    last_at: Time | None
    created_at: Time
    updated_at: Time | None
    #: Where it is, and where its tasks are.
    links: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)


class SchedulePage(Shape):
    """One page of schedules, newest first; ``next_cursor`` is null on the last one."""

    items: list[ScheduleView]
    next_cursor: str | None
