"""What each operator does with its two sides."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from chalicelib.expressions.values import MAX_BITS, NUMBERS, Unfit, Value, bounded, kind_of

Operator = Callable[[Value, Value], Value]


def _arithmetic(sign: str, compute: Operator) -> Operator:
    def calculate(left: Value, right: Value) -> Value:
        if type(left) in NUMBERS and type(right) in NUMBERS:
            return bounded(compute(left, right))
        return _otherwise(sign, left, right)

    return calculate


def _otherwise(sign: str, left: Value, right: Value) -> Value:
    # As in SQL: what is computed from something unknown is unknown.
    texts = sign == "+" and {type(left), type(right)} <= {str, type(None)}
    for side in (left, right):
        if side is not None and type(side) not in NUMBERS and not texts:
            raise Unfit(f"{sign} takes numbers{_or_texts(sign)}, not {kind_of(side)}")
    if left is None or right is None:
        return None
    return bounded(left + right)


def _or_texts(sign: str) -> str:
    return ", or texts on both sides" if sign == "+" else ""


def _power(base: Value, exponent: Value) -> Value:
    if type(base) is int and type(exponent) is int and exponent > 0:
        # Told before it is computed: 9**9**9 would take all memory there is.
        if abs(base) > 1 and (base.bit_length() - 1) * exponent > MAX_BITS:
            raise Unfit("the number is too large")
    elif base < 0 and not float(exponent).is_integer():
        raise Unfit("a broken power of a negative number is no number")
    return base**exponent


def _same(left: Value, right: Value) -> bool:
    # True is no 1 here.
    return (type(left) is bool) is (type(right) is bool) and bool(left == right)


def _order(compare: Operator) -> Operator:
    def ordered(left: Value, right: Value) -> bool:
        kinds = type(left), type(right)
        if (kinds[0] in NUMBERS and kinds[1] in NUMBERS) or kinds == (str, str):
            return bool(compare(left, right))
        if left is None or right is None:
            return False
        raise Unfit(f"{kind_of(left)} is neither more nor less than {kind_of(right)}")

    return ordered


def _within(left: Value, right: Value) -> bool:
    return any(_same(left, one) for one in right)


ARITHMETIC: dict[type[ast.operator], Operator] = {
    ast.Add: _arithmetic("+", operator.add),
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Pow: _arithmetic("**", _power),
}

COMPARISONS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: _same,
    ast.NotEq: lambda left, right: not _same(left, right),
    ast.Lt: _order(operator.lt),
    ast.LtE: _order(operator.le),
    ast.Gt: _order(operator.gt),
    ast.GtE: _order(operator.ge),
    ast.In: _within,
    ast.NotIn: lambda left, right: not _within(left, right),
}


def negated(value: Value) -> Value:
    """Return a number with the other sign, null of null; raises Unfit."""
    return ARITHMETIC[ast.Sub](0, value) if type(value) is not float else -value


def positive(value: Value) -> Value:
    """Return a number as it is, null of null; raises Unfit."""
    return value if type(value) is float else ARITHMETIC[ast.Add](0, value)
