"""What an expression computes with: whole numbers, doubles, texts, truth values, null."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

#: Anything JSON has; lists and objects may stand in a row, and no operator takes them.
Value = Any
Row = Mapping[str, Value]
Run = Callable[[Row], Value]

#: The largest whole number, in bits: as large as a double, so that the two can always be mixed.
MAX_BITS = 1023
#: The longest text that an operator or a function makes, in characters.
MAX_TEXT = 10_000

NUMBERS = frozenset({int, float})
_NAMES = {int: "a number", float: "a number", str: "a text", bool: "a truth value"}


class Unfit(Exception):
    """The values do not allow it; the text says why, and quotes none of them."""


def kind_of(value: Value) -> str:
    """Return what a value is, for people."""
    if value is None:
        return "null"
    return _NAMES.get(type(value), "a list or an object")


def bounded(value: Value) -> Value:
    """Return a computed number or text; raises Unfit for one that is too large."""
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):
            raise Unfit("the number is too large")
    elif kind is int:
        if value.bit_length() > MAX_BITS:
            raise Unfit("the number is too large")
    elif kind is str and len(value) > MAX_TEXT:
        raise Unfit(f"the text has more than {MAX_TEXT:,} characters")
    return value


def truth(value: Value) -> bool:
    """Return a truth value, with null for false; raises Unfit for anything else."""
    if value is True:
        return True
    if value is False or value is None:
        return False
    raise Unfit(f"{kind_of(value)} is neither true nor false")
