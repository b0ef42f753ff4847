"""What can be done to rows: choosing columns or rows, adding columns, gathering groups."""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib.errors import BadExpression, GiveUp
from chalicelib.expressions import MAX_BITS, NUMBERS, Formula, compile_expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Row = dict[str, Any]

#: The most groups that are held in memory, and what the values that tell them apart may take
#: there, in bytes.
MAX_GROUPS = 10_000
MAX_GROUPS_MEMORY = 64 * 1024 * 1024


Column = Annotated[str, Field(min_length=1, max_length=200)]


class Total(BaseModel):
    """One column of the groups: a function over the values of another column, or of all rows."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    function: Literal["sum", "count", "min", "max", "avg"]
    of: Column | None = None


class Step(BaseModel):
    """One of ``select``, ``filter``, ``map`` and ``aggregate``; with the last perhaps ``by``.

    ``select`` keeps these columns, in this order; ``filter`` the rows for which an expression is
    true. ``map`` adds columns, or replaces them; each expression sees the row as it was before the
    step. ``aggregate`` makes one row of each group of rows that are alike in the columns ``by``.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid")

    select: list[Column] = Field(default=[], max_length=1000)
    filter: Formula | None = None
    map: dict[Column, Formula] = Field(default={}, max_length=100)
    aggregate: dict[Column, Total] = Field(default={}, max_length=50)
    by: list[Column] = Field(default=[], max_length=10)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.select, self.filter, self.map, self.aggregate))) != 1:
            raise ValueError("has to have one of select, filter, map, aggregate")
        if self.by and not self.aggregate:
            raise ValueError("has by, which goes with aggregate")
        names = [*self.select, *self.by, *self.aggregate]
        if len(set(names)) < len(names):
            raise ValueError("makes two columns of one name")
        return self


def columns_after(steps: Sequence[Step], known: list[str] | None) -> list[str] | None:
    """Return the columns that are left of ``known`` (None if they are not known before).

    Raises GiveUp for a step that reads a column that is not there.
    """
    for number, step in enumerate(steps, 1):
        if known is not None and (missing := _read(step) - set(known)):
            raise GiveUp(f"Step {number}: there is no column {min(missing)!r}.")
        if step.select:
            known = list(step.select)
        elif step.aggregate:
            known = [*step.by, *sorted(step.aggregate)]
        elif known is not None:
            known = list(dict.fromkeys([*known, *sorted(step.map)]))
    return known


def _read(step: Step) -> set[str]:
    texts = [*step.map.values(), *([step.filter] if step.filter else [])]
    told = {name for text in texts for name in compile_expression(text).names}
    totals = {total.of for total in step.aggregate.values() if total.of}
    return {*step.select, *told, *totals, *step.by}


def rows_after(steps: Sequence[Step], rows: Iterable[Row]) -> Iterator[Row]:
    """Yield what the steps make of the rows. Raises GiveUp, naming the step."""
    for number, step in enumerate(steps, 1):
        rows = _told(number, _after(step, rows))
    yield from rows


def _told(number: int, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except BadExpression as error:
        raise GiveUp(f"Step {number}: {error}") from None


def _after(step: Step, rows: Iterable[Row]) -> Iterator[Row]:
    if step.select:
        return ({name: row.get(name) for name in step.select} for row in rows)
    if step.filter:
        holds = compile_expression(step.filter).holds
        return (row for row in rows if holds(row))
    return _mapped(step, rows) if step.map else _gathered(step, rows)


def _mapped(step: Step, rows: Iterable[Row]) -> Iterator[Row]:
    # By name: JSON in PostgreSQL keeps no order of keys.
    made = [(name, compile_expression(text)) for name, text in sorted(step.map.items())]
    for row in rows:
        row.update([(name, compute(row)) for name, compute in made])
        yield row


def _gathered(step: Step, rows: Iterable[Row]) -> Iterator[Row]:
    groups: dict[tuple[Any, ...], list[_Sum]] = {}
    room = MAX_GROUPS_MEMORY
    names, totals = zip(*sorted(step.aggregate.items()), strict=True)
    for row in rows:
        key = tuple([_plain(row.get(name)) for name in step.by])
        group = groups.get(key)
        if group is None:
            room -= sum(getsizeof(value) for _, value in key)
            _check_room(len(groups), room)
            group = groups[key] = [_Sum() for _ in totals]
        for total, found in zip(totals, group, strict=True):
            found.add(row.get(total.of) if total.of else 1, count_only=total.function == "count")
    for key, group in groups.items():
        yield dict(zip(step.by, (value for _, value in key), strict=True)) | {
            name: found.told(total.function)
            for name, total, found in zip(names, totals, group, strict=True)
        }


def _check_room(groups: int, room: int) -> None:
    if groups == MAX_GROUPS:
        raise GiveUp(f"There are more than {MAX_GROUPS:,} groups.")
    if room < 0:
        most = MAX_GROUPS_MEMORY // 2**20
        raise GiveUp(f"The values of the groups' columns take more than {most} MiB of memory.")


def _plain(value: Any) -> tuple[type, Any]:
    # True and 1 are no group together, nor are 1 and 1.0.
    if isinstance(value, list | dict):
        raise BadExpression("a list or an object is no group.")
    return type(value), value


class _Sum:
    """What is known of the values of a group's column so far."""

    __slots__ = ("count", "largest", "least", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total: Any = 0
        self.least: Any = None
        self.largest: Any = None

    def add(self, value: Any, *, count_only: bool) -> None:
        if value is None:
            return
        self.count += 1
        if count_only:
            return
        if type(value) not in NUMBERS:
            raise BadExpression("it takes numbers; map the column by number(...) first.")
        if type(value) is int and value.bit_length() > MAX_BITS:
            raise BadExpression("the number is too large.")
        try:
            self.total += value
        except OverflowError:
            raise BadExpression("the sum is too large.") from None
        if self.least is None or value < self.least:
            self.least = value
        if self.largest is None or value > self.largest:
            self.largest = value

    def told(self, function: str) -> Any:
        match function:
            case "count":
                return self.count
            case _ if not self.count:
                return None
            case "sum":
                return self.total
            case "avg":
                return self._mean()
            case "min":
                return self.least
            case _:
                return self.largest

    def _mean(self) -> float:
        try:
            return float(self.total / self.count)
        except OverflowError:
            raise BadExpression("the mean is too large.") from None
