"""A small language of arithmetic and logic over the columns of a row; docs/handlers.md has it."""

from __future__ import annotations

from chalicelib.expressions.formula import Formula
from chalicelib.expressions.functions import FUNCTIONS
from chalicelib.expressions.parsing import MAX_DEPTH, MAX_LENGTH, Expression, compile_expression
from chalicelib.expressions.values import MAX_BITS, MAX_TEXT, NUMBERS, Row, Value

__all__ = [
    "FUNCTIONS",
    "MAX_BITS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_TEXT",
    "NUMBERS",
    "Expression",
    "Formula",
    "Row",
    "Value",
    "compile_expression",
]
