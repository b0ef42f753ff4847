"""What operators allow of a kind."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from chalicelib.schemas.fields import Shape, whole

Places = Annotated[int, Field(ge=1, le=100_000), BeforeValidator(whole)]
Rate = Annotated[float, Field(ge=0.001, le=10_000)]


class NewLimits(Shape):
    """The limits of a kind, all of them: what is left out is no limit."""

    model_config = ConfigDict(extra="forbid", strict=True)

    #: Most tasks worked at once, in all and of each limit key.
    running: Places | None = None
    running_per_key: Places | None = None
    #: Attempts that may begin a second, of each limit key, and how many may begin at once.
    rate: Rate | None = None
    burst: Places | None = None

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst needs a rate")
        return self

    def columns(self) -> dict[str, Any]:
        """Return what is stored, as JSON values; a burst is what a second allows, at least one."""
        columns = self.model_dump()
        if self.rate is not None and self.burst is None:
            columns["burst"] = math.ceil(self.rate)
        return columns


class Limits(Shape):
    """The limits of a kind, and how they hold its tasks back now.

    ``processing`` are being worked, ``called`` are on their way to be, ``parked`` wait for room and
    ``promised`` for their turn; none of them is counted beyond ``count_limit``.
    """

    kind: str
    paused: bool
    running: int | None
    running_per_key: int | None
    rate: float | None
    burst: int | None
    processing: int
    called: int
    parked: int
    promised: int
    count_limit: int
