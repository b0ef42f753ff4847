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
    limit = context.remaining()
    for number, row in enumerate(source):
        if not number % _STRIDE and time.monotonic() - told > _PAUSE:
            told = time.monotonic()
            hold(counted.count, size, told - begun, limit)
            context.progress(min(99.0, 100 * counted.count / max(1, size)))
        yield row


def hold(done: int, size: int, spent: float, limit: float) -> None:
    """Raise GiveUp if a file of ``size`` bytes, ``done`` in ``spent`` s, will not end in time."""
    # Another attempt would come as far, so it is said early; a little late is left to the end.
    whole = spent * size / max(1, done)
    if whole > 1.25 * limit:
        raise GiveUp(
            f"The file would take about {whole:,.0f} s, and an attempt has {limit:,.0f} s: after "
            f"{spent:,.0f} s {done:,} of {size:,} bytes were done. Split the file, or raise "
            "WORKER_TIMEOUT."
        )
