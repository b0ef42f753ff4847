"""Turns a text into functions, part by part: what is not named here cannot be said.

The text is read by Python's own parser and never evaluated by it.
"""

from __future__ import annotations

import ast
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.errors import BadExpression
from chalicelib.expressions import operators
from chalicelib.expressions.functions import FUNCTIONS
from chalicelib.expressions.values import Row, Run, Unfit, Value, bounded, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The longest expression, in characters.
MAX_LENGTH = 1000
#: How deep its parts may be nested.
MAX_DEPTH = 60

_WORDS = {"true": True, "false": False, "null": None}
_COLUMN = "column"
_quiet = threading.Lock()


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that is ready to be computed; ``names`` are the columns that it reads."""

    text: str
    names: frozenset[str]
    _run: Run

    def __call__(self, row: Row) -> Value:
        """Return its value for a row, in which a missing column is null; raises BadExpression."""
        return self._run(row)

    def holds(self, row: Row) -> bool:
        """Return whether it is true for a row, null being false; raises BadExpression."""
        try:
            return truth(self._run(row))
        except Unfit as error:
            raise BadExpression(f"{error}.") from None


def compile_expression(text: str) -> Expression:
    """Return a text as an expression; raises BadExpression, which says where it goes wrong."""
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"An expression has at most {MAX_LENGTH:,} characters.")
    if not text.isprintable():
        raise BadExpression("An expression is one line of printable characters.")
    parser = _Parser(text.lstrip(" "), len(text) - len(text.lstrip(" ")))
    run = parser.part(parser.parsed(), MAX_DEPTH)
    return Expression(text, frozenset(parser.names), run)


@dataclass(slots=True)
class _Parser:
    text: str
    cut: int  # characters that stood before the text
    names: set[str] = field(default_factory=set)

    def parsed(self) -> ast.expr:
        try:
            # What Python would warn of, it would quote in the log. The filters are the process's.
            with _quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            place = (error.offset or 1) + self.cut
            raise BadExpression(f"At character {place}: this cannot be read.") from None
        except (ValueError, MemoryError, RecursionError):
            raise BadExpression("This cannot be read.") from None

    def part(self, node: ast.expr, depth: int) -> Run:
        if not depth:
            raise self._bad(node, f"nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.Constant(value=value):
                return self._constant(node, value)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Call():
                return self._call(node, depth - 1)
            case _:
                return self._operation(node, depth - 1)

    def _operation(self, node: ast.expr, depth: int) -> Run:
        match node:
            case ast.BinOp(left, kind, right) if type(kind) in operators.ARITHMETIC:
                compute = operators.ARITHMETIC[type(kind)]
                return self._two(node, compute, self.part(left, depth), self.part(right, depth))
            case ast.UnaryOp(ast.USub() | ast.UAdd() as kind, value):
                sign = operators.negated if type(kind) is ast.USub else operators.positive
                return self._applied(node, sign, [self.part(value, depth)])
            case ast.UnaryOp(ast.Not(), value):
                inner = self._truth(value, depth)
                return lambda row: not inner(row)
            case ast.BoolOp(kind, values):
                return _joined(kind, [self._truth(value, depth) for value in values])
            case ast.IfExp(test, then, other):
                asked = self._truth(test, depth)
                yes, no = self.part(then, depth), self.part(other, depth)
                return lambda row: yes(row) if asked(row) else no(row)
            case ast.Compare(left, kinds, rights):
                return self._comparison(node, left, list(zip(kinds, rights, strict=True)), depth)
            case _:
                raise self._bad(node, "this is no part of the language")

    def _constant(self, node: ast.expr, value: Any) -> Run:
        if value is not None and type(value) not in {int, float, str, bool}:
            raise self._bad(node, "this is no part of the language")
        try:
            bounded(value)
        except Unfit as error:
            raise self._bad(node, str(error)) from None
        return lambda _: value

    def _name(self, name: str) -> Run:
        if name in _WORDS:
            value = _WORDS[name]
            return lambda _: value
        self.names.add(name)
        return lambda row: row.get(name)

    def _call(self, node: ast.Call, depth: int) -> Run:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
            raise self._bad(node, "values are given in their order, one by one")
        if name == _COLUMN:
            return self._column(node)
        if name not in FUNCTIONS:
            raise self._bad(node, f"there is no such function; there are {_list()}")
        function, least, most = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            counts = f"{least}" if least == most else f"{least} to {most}"
            raise self._bad(node, f"{name} takes {counts}")
        return self._applied(node, function, [self.part(one, depth) for one in node.args])

    def _column(self, node: ast.Call) -> Run:
        match node.args:
            case [ast.Constant(value=str(name))]:
                self.names.add(name)
                return lambda row: row.get(name)
            case _:
                raise self._bad(node, 'column takes a name in quotes, as in column("unit price")')

    def _comparison(
        self,
        node: ast.expr,
        first: ast.expr,
        rest: Sequence[tuple[ast.cmpop, ast.expr]],
        depth: int,
    ) -> Run:
        links, left = [], self.part(first, depth)
        for kind, value in rest:
            if type(kind) not in operators.COMPARISONS:
                raise self._bad(node, "this is no part of the language")
            listed = isinstance(kind, ast.In | ast.NotIn)
            right = self._list(value, depth) if listed else self.part(value, depth)
            links.append(self._two(node, operators.COMPARISONS[type(kind)], left, right))
            left = right
        return links[0] if len(links) == 1 else lambda row: all(link(row) for link in links)

    def _list(self, node: ast.expr, depth: int) -> Run:
        if not isinstance(node, ast.Tuple | ast.List):
            raise self._bad(node, 'in takes a list, as in ("a", "b")')
        parts = [self.part(one, depth) for one in node.elts]
        return lambda row: [part(row) for part in parts]

    def _truth(self, node: ast.expr, depth: int) -> Run:
        return self._applied(node, truth, [self.part(node, depth)])

    def _two(self, node: ast.expr, compute: operators.Operator, left: Run, right: Run) -> Run:
        def run(row: Row) -> Value:
            try:
                return compute(left(row), right(row))
            except (Unfit, ArithmeticError) as error:
                raise self._bad(node, _reason(error)) from None

        return run

    def _applied(self, node: ast.expr, function: Callable[..., Value], parts: list[Run]) -> Run:
        if len(parts) == 1:  # half as long as by a list
            return self._one(node, function, parts[0])

        def run(row: Row) -> Value:
            try:
                return function(*[part(row) for part in parts])
            except (Unfit, ArithmeticError) as error:
                raise self._bad(node, _reason(error)) from None

        return run

    def _one(self, node: ast.expr, function: Callable[[Value], Value], part: Run) -> Run:
        def run(row: Row) -> Value:
            try:
                return function(part(row))
            except (Unfit, ArithmeticError) as error:
                raise self._bad(node, _reason(error)) from None

        return run

    def _bad(self, node: ast.expr, why: str) -> BadExpression:
        # Python counts bytes.
        before = len(self.text.encode()[: node.col_offset].decode())
        return BadExpression(f"At character {before + 1 + self.cut}: {why}.")


def _joined(kind: ast.boolop, parts: list[Run]) -> Run:
    if isinstance(kind, ast.And):
        return lambda row: all(part(row) for part in parts)
    return lambda row: any(part(row) for part in parts)


def _reason(error: Exception) -> str:
    match error:
        case Unfit():
            return str(error)
        case ZeroDivisionError():
            return "division by zero"
        case _:
            return "the number is too large"


def _list() -> str:
    return ", ".join(sorted([*FUNCTIONS, _COLUMN]))
