"""What the service logs, read from its sources: the events, their levels, their fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = Path(__file__).parents[2] / "chalice_app" / "chalicelib"
TREES = [ast.parse(path.read_text(encoding="utf-8")) for path in LIBRARY.rglob("*.py")]
#: What a line has besides if it is given an exception; logs.py.
EXCEPTION = {"exception", "cause", "sqlstate", "aws_code", "stack"}
#: The event whose fields are metrics, and are no table of names.
METRICS = "metrics"


@dataclass(frozen=True)
class Line:
    """One call of a logger."""

    event: str
    level: str
    fields: frozenset[str]


def lines() -> Iterator[Line]:
    """Yield every call of a logger. Raises ValueError for one that cannot be read."""
    for tree in TREES:
        for function in functions(tree):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and is_logger(call.func):
                    yield read(call, function)


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def is_logger(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "logger"
    )


def read(call: ast.Call, function: ast.FunctionDef) -> Line:
    assert isinstance(call.func, ast.Attribute)
    method = call.func.attr
    event = text(call.args[1 if method == "log" else 0])
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if event == METRICS:
        return Line(METRICS, "INFO", frozenset())
    fields = keys(named["extra"], function) if "extra" in named else set()
    fields |= EXCEPTION if "exc_info" in named or method == "exception" else set()
    level = {"log": "by status", "exception": "ERROR"}.get(method, method.upper())
    return Line(event, level, frozenset(fields))


def keys(node: ast.expr | None, function: ast.FunctionDef) -> set[str]:
    """Return the keys of the dictionary that an expression in ``function`` makes."""
    match node:
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            found = (keys(v, function) if k is None else {text(k)} for k, v in pairs)
            return set().union(*found)
        case ast.BinOp(op=ast.BitOr()):
            return keys(node.left, function) | keys(node.right, function)
        case ast.Name():
            return set().union(*(keys(one, function) for one in assigned(node.id, function)))
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return set().union(*(returned(one) for one in named_functions(name)))
        case _:
            raise ValueError(f"cannot be read: {ast.dump(node) if node else node}")


def text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError(f"line {node.lineno}: the names of events and fields are literals")


def assigned(name: str, function: ast.FunctionDef) -> list[ast.expr]:
    values = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == name and node.value is not None
    ]
    if not values:
        raise ValueError(f"{function.name} does not say what {name} is")
    return values


def named_functions(name: str) -> list[ast.FunctionDef]:
    found = [one for tree in TREES for one in functions(tree) if one.name == name]
    if not found:
        raise ValueError(f"there is no function {name}")
    return found


def returned(function: ast.FunctionDef) -> set[str]:
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return set().union(*(keys(value, function) for value in values))
