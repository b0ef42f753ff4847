"""Tasks of kind report.generate: what became of a tenant's tasks, day by day, as CSV or PDF."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib import report_pdf
from chalicelib.errors import GiveUp
from chalicelib.files import FileName, files_of
from chalicelib.registry import Context, handler

if TYPE_CHECKING:
    from chalicelib.task import Task

#: The longest report, in days.
MAX_DAYS = 92
#: The most tasks of a day that are looked at, so that a day takes about a second.
MOST = 200_000
COLUMNS = (
    "day",
    "kind",
    "status",
    "tasks",
    "wait_p50_seconds",
    "wait_p95_seconds",
    "run_p50_seconds",
    "run_p95_seconds",
)


class Report(BaseModel):
    """Which days a report is about, both included, as days of UTC, and the file it goes into."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    first_day: date
    last_day: date
    target: FileName
    format: Literal["csv", "pdf"] = Field("csv", description="PDF has a chart.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        if self.last_day == date.max:
            raise ValueError("last_day is the last there is, and has no end")
        if (self.last_day - self.first_day).days >= MAX_DAYS:
            raise ValueError(f"a report is about {MAX_DAYS} days at most")
        return self

    def days(self) -> list[date]:
        """Return each day."""
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=number) for number in range(count)]


@handler("report.generate", payload=Report)
def generate(task: Task, context: Context[Report]) -> dict[str, Any]:
    """Return how many lines and tasks the report has; it is in its file then."""
    asked = context.payload
    files = files_of(context.settings.files, context.tenant, lambda: context.client("s3"))
    if asked.format == "pdf":
        report_pdf.check()
    days, lines = asked.days(), []
    for number, day in enumerate(days):
        lines += _lines(day, context)
        context.progress(99 * (number + 1) / len(days))
    if asked.format == "pdf":
        data = report_pdf.draw(f"Tasks of {context.tenant}", days, lines)
    else:
        data = _csv(lines)
    with files.write(asked.target) as file:
        file.write(data)
    return {"lines": len(lines), "tasks": sum(line["tasks"] for line in lines), "bytes": len(data)}


def _lines(day: date, context: Context[Report]) -> list[dict[str, Any]]:
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    rows = context.query("report_tasks", tenant=context.tenant, since=since, until=until, most=MOST)
    if rows and rows[0]["looked_at"] > MOST:
        raise GiveUp(f"On {day} more than {MOST:,} tasks were created, more than a report counts.")
    return [
        dict(
            zip(
                COLUMNS,
                (
                    day,
                    row["kind"],
                    row["status"],
                    row["tasks"],
                    *_both(row["wait"]),
                    *_both(row["run"]),
                ),
                strict=True,
            )
        )
        for row in rows
    ]


def _both(percentiles: list[float] | None) -> list[float | None]:
    # Where no task was timed there is no array, or one of nulls.
    found: list[float | None] = [*percentiles] if percentiles else [None, None]
    return [None if one is None else round(one, 3) for one in found]


def _csv(lines: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(line.values() for line in lines)
    return text.getvalue().encode()
