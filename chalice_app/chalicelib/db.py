"""Connections to PostgreSQL, and the statements of sql/queries.sql by name.

A connection is borrowed for one statement and given back: one thread keeps using one connection,
as in Lambda, and a server with many short-lived threads does not open one for each.
"""

from __future__ import annotations

import re
import select
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import errors as pg

from chalicelib.errors import StoreRejected, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg2.extensions import connection as Connection  # noqa: N812

SQL = Path(__file__).parent / "sql"
Rows = list[dict[str, Any]]

_NAME = re.compile(r"^-- name: (\w+)( \(once\))?$", re.MULTILINE)
_UNSTORABLE = (pg.DataError, pg.StatementTooComplex, ValueError)
_UNMIGRATED = (pg.UndefinedTable, pg.UndefinedColumn, pg.UndefinedFunction)
_AWAY = (pg.OperationalError, pg.InterfaceError, pg.ReadOnlySqlTransaction)


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


class Database:
    """A PostgreSQL database, reached over at most ``connections`` connections at a time."""

    def __init__(self, url: str, *, connections: int = 1) -> None:
        """Take a libpq URL; nothing is opened before the first statement."""
        self._url = url
        self._statements = named_statements()
        self._idle: list[Connection] = []
        self._slots = threading.BoundedSemaphore(connections)

    def query(self, name: str, /, **arguments: Any) -> Rows:
        """Run one named statement by itself and return its rows.

        Raises StoreUnavailable when the database cannot be reached (a broken connection is
        replaced and a repeatable statement repeated, once) and StoreRejected when it will never
        take these arguments.
        """
        statement = self._statements[name]
        try:
            return self._run(statement, arguments)
        except StoreUnavailable as error:
            if not (statement.repeatable and error.context.get("broken")):
                raise
            return self._run(statement, arguments)

    @contextmanager
    def transaction(self) -> Iterator[Callable[..., Rows]]:
        """Run several named statements (or a script, with ``sql=``) in one transaction."""
        with self._borrowed() as connection, connection.cursor() as cursor:
            cursor.execute("begin")

            def run(name: str = "", /, *, sql: str | None = None, **arguments: Any) -> Rows:
                if sql is None:
                    cursor.execute(self._statements[name].sql, arguments)
                else:
                    cursor.execute(sql)
                return _rows(cursor)

            try:
                yield run
            except BaseException:
                cursor.execute("rollback")
                raise
            cursor.execute("commit")

    def close(self) -> None:
        """Close the connections that nobody is using."""
        while self._idle:
            self._idle.pop().close()

    def _run(self, statement: Statement, arguments: dict[str, Any]) -> Rows:
        with self._borrowed() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement.sql, arguments)
            except _UNMIGRATED as error:
                raise StoreUnavailable(
                    "The database's schema does not fit this code; migrate it.",
                    broken=False,
                    sqlstate=error.pgcode,
                ) from error
            return _rows(cursor)

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        with self._slots:
            connection = self._connected()
            try:
                yield connection
            except _UNSTORABLE as error:
                raise StoreRejected(sqlstate=getattr(error, "pgcode", None)) from error
            except _AWAY as error:
                broken = connection.closed != 0
                if isinstance(error, pg.ReadOnlySqlTransaction):  # a primary that was replaced
                    connection.close()
                raise StoreUnavailable(broken=broken, sqlstate=error.pgcode) from error
            finally:
                if not connection.closed:
                    self._idle.append(connection)

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # asked instead of told: another thread may be quicker
            return None

    def _connected(self) -> Connection:
        for connection in iter(self._take, None):
            if _is_quiet(connection):
                return connection
            connection.close()
        try:
            connection = psycopg2.connect(
                self._url,
                connect_timeout=3,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                application_name="chalice-tasks",
            )
        except psycopg2.OperationalError as error:
            raise StoreUnavailable(broken=False) from error
        connection.autocommit = True
        return connection


def _is_quiet(connection: Connection) -> bool:
    # An idle server says nothing: whatever is there to read is its farewell.
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)


def _rows(cursor: Any) -> Rows:
    if cursor.description is None:
        return []
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
