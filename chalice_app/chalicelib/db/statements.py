"""The statements of sql/queries.sql by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SQL = Path(__file__).parent.parent / "sql"
Rows = list[dict[str, Any]]

_NAME = re.compile(r"^-- name: (\w+)( \(once\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement; ``repeatable`` tells whether carrying it out twice is harmless."""

    name: str
    sql: str
    repeatable: bool


def named_statements(path: Path = SQL / "queries.sql") -> dict[str, Statement]:
    """Split a file at its ``-- name: x`` lines into statements."""
    _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {name: Statement(name, sql.strip(), once is None) for name, once, sql in triples}
