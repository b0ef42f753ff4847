"""Tasks of kind calc.run: expressions over rows of numbers, and what the results come to."""

from __future__ import annotations

import graphlib
import math
from sys import getsizeof
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib.errors import BadExpression, GiveUp
from chalicelib.expressions import NUMBERS, Expression, Formula, compile_expression
from chalicelib.registry import Context, handler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.task import Task

#: How often a long calculation renews its lease, in values.
_BREATH = 10_000
#: The memory that results may take, and what each takes besides itself, in bytes.
MOST_MEMORY = 256 * 1024 * 1024
_SLOT = 64


Cell = float | int | bool | str | None
Name = Annotated[str, Field(min_length=1, max_length=100)]
Percentile = Annotated[float, Field(ge=0, le=100)]


class Calculation(BaseModel):
    """What to compute: each expression for each row, given as columns or as rows.

    An expression may read the columns and other expressions by their names.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid")

    columns: dict[Name, list[Cell]] | None = None
    rows: list[dict[Name, Cell]] | None = None
    expressions: dict[Name, Formula] = Field(min_length=1, max_length=50)
    percentiles: list[Percentile] = Field(default=[50, 95], max_length=10)
    aggregates_only: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.columns is None) is (self.rows is None):
            raise ValueError("give either columns or rows")
        if len({len(column) for column in (self.columns or {}).values()}) > 1:
            raise ValueError("the columns are not equally long")
        columns = set(self.columns or {}) | {name for row in self.rows or () for name in row}
        if twice := columns & self.expressions.keys():
            raise ValueError(f"{min(twice)!r} is the name of two things")
        for name, text in self.expressions.items():
            if unknown := compile_expression(text).names - columns - self.expressions.keys():
                raise ValueError(f"the expression {name!r} reads no column {min(unknown)!r}")
        self.order()
        return self

    def order(self) -> list[str]:
        """Return the expressions, each after those it reads; JSON in PostgreSQL keeps no order.

        Raises ValueError if two need each other.
        """
        needs = {
            name: compile_expression(text).names & self.expressions.keys()
            for name, text in self.expressions.items()
        }
        try:
            return list(graphlib.TopologicalSorter(needs).static_order())
        except graphlib.CycleError as error:
            raise ValueError(f"the expression {error.args[1][0]!r} needs itself") from None

    def table(self) -> list[dict[str, Any]]:
        """Return the rows, a missing cell left out."""
        if self.rows is not None:
            return [dict(row) for row in self.rows]
        columns = self.columns or {}
        return [
            dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
        ]


@handler("calc.run", payload=Calculation)
def calculate(task: Task, context: Context[Calculation]) -> dict[str, Any]:
    """Return the results by expression, in the order of the rows, and their aggregates."""
    asked = context.payload
    rows, room = asked.table(), _Room()
    results = {
        name: _column(name, compile_expression(asked.expressions[name]), rows, room, context)
        for name in asked.order()
    }
    aggregates = {name: _aggregated(found, asked.percentiles) for name, found in results.items()}
    told: dict[str, Any] = {"rows": len(rows), "aggregates": aggregates}
    return told if asked.aggregates_only else {**told, "results": results}


class _Room:
    """What results may still take, however many and however long a small payload makes them."""

    def __init__(self) -> None:
        self._left = MOST_MEMORY

    def take(self, value: Any) -> None:
        self._left -= getsizeof(value) + _SLOT
        if self._left < 0:
            raise GiveUp(
                f"The results take more than {MOST_MEMORY // 2**20} MiB of memory; compute fewer "
                "at a time, or put the rows into a file and use data.transform."
            )


def _column(
    name: str,
    expression: Expression,
    rows: list[dict[str, Any]],
    room: _Room,
    context: Context[Calculation],
) -> list[Any]:
    found = []
    for number, row in enumerate(rows):
        if number % _BREATH == _BREATH - 1:
            context.heartbeat()
        try:
            row[name] = expression(row)
        except BadExpression as error:
            raise GiveUp(f"Expression {name!r}, row {number + 1}: {error}") from None
        room.take(row[name])
        found.append(row[name])
    return found


def _aggregated(values: Sequence[Any], percentiles: Sequence[float]) -> dict[str, Any] | None:
    numbers = sorted(value for value in values if type(value) in NUMBERS)
    if not numbers:
        return None
    try:
        return {
            "count": len(numbers),
            "sum": _total(numbers),
            "mean": math.fsum(numbers) / len(numbers),
            "min": numbers[0],
            "max": numbers[-1],
            "stdev": _deviation(numbers),
            "percentiles": {f"{one:.15g}": _percentile(numbers, one) for one in percentiles},
        }
    except OverflowError:
        raise GiveUp("The results are too large to be added up.") from None


def _total(numbers: Sequence[float]) -> float:
    whole = all(type(number) is int for number in numbers)
    return sum(numbers) if whole else math.fsum(numbers)


def _deviation(numbers: Sequence[float]) -> float | None:
    # Of a sample, as PostgreSQL's stddev: one value has none.
    if len(numbers) < 2:  # noqa: PLR2004
        return None
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))


def _percentile(numbers: Sequence[float], percent: float) -> float:
    # Between two values in proportion, as PostgreSQL's percentile_cont.
    place = (len(numbers) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)
