"""The statements of sql/queries.sql by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SQL = Path(__file__).parent.parent / "sql"
Rows = list[dict[str, Any]]

_NAME = re.compile(r"^-- name: (\w+)(?: \((once)(?: unless (\w+))?\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement; ``once`` tells that carrying it out twice does harm.

    It does not where the argument named by ``unless`` is given.
    """

    name: str
    sql: str
    once: bool
    unless: str | None = None

    def may_be_repeated(self, arguments: dict[str, Any]) -> bool:
        """Tell whether to say it again when nobody knows whether it was carried out."""
        return not self.once or (self.unless is not None and arguments[self.unless] is not None)


def array(values: Iterable[str | float | None]) -> str:
    """Return the text of an array, for an argument that the statement casts to one.

    psycopg2 writes a list as ARRAY[...], and each element of that is an expression to the server.
    """
    texts = [
        _quoted(value) if isinstance(value, str) else "null" if value is None else str(value)
        for value in values
    ]
    return f"{{{','.join(texts)}}}"


def _quoted(text: str) -> str:
    # Source: PostgreSQL, "Arrays", "Array Input and Output Syntax".
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def named_statements(path: Path = SQL / "queries.sql") -> dict[str, Statement]:
    """Split a file at its ``-- name: x`` lines into statements."""
    _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    found = zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True)
    return {name: Statement(name, sql.strip(), bool(once), key) for name, once, key, sql in found}
