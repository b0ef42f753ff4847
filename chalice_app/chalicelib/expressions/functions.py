"""The functions that an expression may call; there are no others."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from chalicelib.expressions.values import NUMBERS, Unfit, Value, bounded, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)


def _known(values: tuple[Value, ...]) -> list[Value]:
    # As SQL's aggregates: null is left out.
    found = [value for value in values if value is not None]
    for value in found:
        if type(value) not in NUMBERS:
            raise Unfit(f"it takes numbers, not {kind_of(value)}")
    return found


def _of_numbers(compute: Callable[[list[Value]], Value]) -> Callable[..., Value]:
    def calculate(*values: Value) -> Value:
        found = _known(values)
        return bounded(compute(found)) if found else None

    return calculate


def _of_one(compute: Callable[[Value], Value]) -> Callable[[Value], Value]:
    def calculate(value: Value) -> Value:
        if type(value) in NUMBERS:
            return bounded(compute(value))
        _known((value,))
        return None

    return calculate


def _of_text(compute: Callable[..., Value]) -> Callable[..., Value]:
    def calculate(*values: Value) -> Value:
        for value in values:
            if value is not None and type(value) is not str:
                raise Unfit(f"it takes texts, not {kind_of(value)}")
        return None if None in values else bounded(compute(*values))

    return calculate


def _round(value: Value, digits: Value = 0) -> Value:
    if type(digits) is not int or abs(digits) > 30:  # noqa: PLR2004  (a double has 17)
        raise Unfit("round takes 30 digits at most, as a whole number")
    if type(value) not in NUMBERS:
        _known((value,))
        return None
    return bounded(round(value, digits) if digits > 0 else int(round(value, digits)))


def _root(value: Value) -> float:
    if value < 0:
        raise Unfit("there is no square root of a negative number")
    return math.sqrt(value)


def _number(value: Value) -> Value:
    if type(value) in NUMBERS or value is None:
        return value
    text = value.strip() if type(value) is str else None
    if text == "":
        return None
    if text is None or not _NUMBER.fullmatch(text):
        raise Unfit(f"{kind_of(value)} that is no number")
    return bounded(int(text) if text.lstrip("+-").isdigit() else float(text))


def _text(value: Value) -> Value:
    if value is None or type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in NUMBERS:
        return str(value)
    raise Unfit(f"{kind_of(value)} cannot be a text")


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


#: Each with the least and the most values that it takes.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (_of_one(abs), 1, 1),
    "avg": (_of_numbers(lambda found: math.fsum(found) / len(found)), 1, 50),
    "ceil": (_of_one(math.ceil), 1, 1),
    "coalesce": (_coalesce, 1, 50),
    "contains": (_of_text(lambda text, part: part in text), 2, 2),
    "count": (lambda *values: sum(value is not None for value in values), 1, 50),
    "ends_with": (_of_text(str.endswith), 2, 2),
    "floor": (_of_one(math.floor), 1, 1),
    "len": (_of_text(len), 1, 1),
    "lower": (_of_text(str.lower), 1, 1),
    "max": (_of_numbers(max), 1, 50),
    "min": (_of_numbers(min), 1, 50),
    "number": (_number, 1, 1),
    "round": (_round, 1, 2),
    "sqrt": (_of_one(_root), 1, 1),
    "starts_with": (_of_text(str.startswith), 2, 2),
    "sum": (_of_numbers(sum), 1, 50),
    "text": (_text, 1, 1),
    "trim": (_of_text(str.strip), 1, 1),
    "upper": (_of_text(str.upper), 1, 1),
}
