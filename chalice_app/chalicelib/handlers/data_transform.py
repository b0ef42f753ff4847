"""Tasks of kind data.transform: a file of rows becomes another, whatever its size."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib.errors import GiveUp
from chalicelib.files import FileName, Reading, files_of
from chalicelib.registry import Context, handler
from chalicelib.tables import (
    Format,
    Source,
    Step,
    Target,
    columns_after,
    format_of,
    rows_after,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.task import Task

#: Seconds between two looks at the time, and rows between two looks at the clock.
_PAUSE = 3.0
_STRIDE = 2000


class Transformation(BaseModel):
    """Which file becomes which, by which steps; a format is told by the name if it is not given."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    source: FileName
    target: FileName
    source_format: Format | None = None
    target_format: Format | None = None
    steps: list[Step] = Field(default=[], max_length=20)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        # A second attempt would find the first one's result.
        if self.source == self.target:
            raise ValueError("source and target are the same file")
        for name in ("source", "target"):
            if not self.format(name):
                raise ValueError(f"{name}_format is needed: the name ends in no .csv or .jsonl")
        return self

    def format(self, name: str) -> Format | None:
        """Return the format of ``source`` or ``target``."""
        told: Format | None = getattr(self, f"{name}_format")
        return told or format_of(getattr(self, name))


@handler("data.transform", payload=Transformation)
def transform(task: Task, context: Context[Transformation]) -> dict[str, Any]:
    """Return how many rows were read and written; the target is there then, and whole."""
    asked = context.payload
    files = files_of(context.settings.files, context.tenant, lambda: context.client("s3"))
    kinds = asked.format("source") or "csv", asked.format("target") or "csv"
    with files.read(asked.source) as (raw, size):
        counted = Reading(raw)
        buffered = io.BufferedReader(counted, 1 << 18)
        source = Source(unpacked(asked.source, buffered), kinds[0])
        columns = columns_after(asked.steps, source.columns)
        with files.write(asked.target) as file:
            target = Target(file, asked.target, kinds[1], columns)
            rows = rows_after(asked.steps, _watched(source, counted, size, context))
            for row in rows:
                target.write(row)
            target.finish()
            context.progress(100)
    return {"rows_read": source.number, "rows_written": target.number, "bytes_read": counted.count}


def _watched(
    source: Source, counted: Reading, size: int, context: Context[Transformation]
) -> Iterator[dict[str, Any]]:
    begun = told = time.monotonic()
    pace = Pace(size, context.remaining())
    for number, row in enumerate(source):
        if not number % _STRIDE and time.monotonic() - told > _PAUSE:
            told = time.monotonic()
            pace.look(counted.count, told - begun)
            context.progress(min(99.0, 100 * counted.count / max(1, size)))
        yield row


class Pace:
    """Tells early when a file will not end in time; another attempt would come as far.

    What was slow so far may go faster from now on, as after a beginning that had to wait. So the
    rest counts as if it went as fast as the fastest stretch, and one stretch alone says nothing.
    """

    def __init__(self, size: int, limit: float) -> None:
        """Take the file's size in bytes and the seconds that an attempt has."""
        self._size = size
        self._limit = limit
        self._looks = 0
        self._done, self._spent = 0, 0.0
        self._best = 0.0

    def look(self, done: int, spent: float) -> None:
        """Take the bytes that were done in so many seconds; raises GiveUp."""
        stretch = (done - self._done) / max(spent - self._spent, 0.001)
        self._best = max(self._best, stretch)
        self._done, self._spent = done, spent
        self._looks += 1
        whole = spent + (self._size - done) / max(self._best, 1.0)
        # A little late is left to the end.
        if self._looks > 1 and whole > 1.25 * self._limit:
            raise GiveUp(
                f"The file would take about {whole:,.0f} s, and an attempt has "
                f"{self._limit:,.0f} s: after {spent:,.0f} s {done:,} of {self._size:,} bytes "
                "were done. Split the file, or raise WORKER_TIMEOUT."
            )
