"""A database whose statements are run by name, over a few connections."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg2 import errors as pg
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from chalicelib.db.address import Address
from chalicelib.db.connection import Overdue, connect, is_quiet
from chalicelib.db.statements import named_statements
from chalicelib.errors import GiveUp, InvalidSettings, StoreRejected, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.db.connection import Connection
    from chalicelib.db.statements import Rows, Statement

#: The longest opening of a connection, in seconds.
OPENING = 3.0

_UNSTORABLE = (pg.DataError, pg.StatementTooComplex, ValueError)
_UNMIGRATED = (pg.UndefinedTable, pg.UndefinedColumn, pg.UndefinedFunction)
#: What may pass: a server that is away, or a statement that it undid.
_PASSING = (
    pg.OperationalError,
    pg.InterfaceError,
    pg.ReadOnlySqlTransaction,
    pg.UniqueViolation,
    Overdue,
)
#: The server undid the statement by itself and it may do better now: dead-lock, serialization
#: failure, lock not available, and another's row under the same unique key (which is seen then).
_UNDONE = frozenset({"40P01", "40001", "55P03", "23505"})


#: What a session keeps beyond a transaction, and the next user of the connection is not to find.
#: Source: PostgreSQL, "DISCARD", but for the plans, which are dear and nobody's.
_CLEAN = (
    "set session authorization default; reset all; close all; unlisten *; "
    "select pg_advisory_unlock_all(); discard temp; discard sequences"
)


class Transaction:
    """Statements that become true together; see Database.transaction."""

    def __init__(self, cursor: Any, statements: Mapping[str, Statement]) -> None:
        """Take a cursor in a transaction, and the statements that have a name."""
        self._cursor = cursor
        self._statements = statements
        self._foreign = False

    def query(self, name: str, /, **arguments: Any) -> Rows:
        """Run one named statement and return its rows. Raises GiveUp as ``execute`` does."""
        self._check()
        self._cursor.execute(self._statements[name].sql, arguments)
        return _rows(self._cursor)

    def execute(self, sql: str, /, **arguments: Any) -> Rows:
        """Run a statement and return its rows; ``%(name)s`` stands for the argument ``name``.

        Without arguments it may be a script, and a % is a %. Raises GiveUp if it has ended the
        transaction.
        """
        self._foreign = True
        self._cursor.execute(sql, arguments or None)
        self._check()
        return _rows(self._cursor)

    def end(self, how: str) -> None:
        """Commit or roll back, and clean the session of what foreign statements left in it."""
        self._cursor.execute(f"{how}; {_CLEAN}" if self._foreign else how)

    def _check(self) -> None:
        if self._cursor.connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
            raise GiveUp("The transaction ends with the attempt, and not by a statement in it.")


class Database:
    """A PostgreSQL database, reached over at most ``connections`` connections at a time."""

    def __init__(
        self, address: str | Address, *, connections: int = 1, patience: float = math.inf
    ) -> None:
        """Take an address or a libpq URL, and the seconds that one query may take.

        Nothing is opened yet.
        """
        self._address = Address(address) if isinstance(address, str) else address
        self._patience = patience
        self._statements = named_statements()
        self._idle: list[Connection] = []
        self._slots = threading.BoundedSemaphore(connections)
        # A transaction keeps its connection, and whoever holds one may need another: half are
        # left to statements by themselves, or all would wait for each other.
        self._transactions = threading.BoundedSemaphore(max(1, connections // 2))

    def query(self, name: str, /, **arguments: Any) -> Rows:
        """Run one named statement by itself and return its rows.

        Raises StoreUnavailable when the database does not answer in time (a broken connection
        is replaced and a repeatable statement repeated, once; one that the server undid is
        repeated in any case, three times) and StoreRejected when it will never take these
        arguments.
        """
        statement = self._statements[name]
        deadline = time.monotonic() + self._patience
        broken, undone = int(statement.may_be_repeated(arguments)), 3
        while True:
            try:
                return self._run(statement, arguments, deadline)
            except StoreUnavailable as error:
                if error.context.get("sqlstate") in _UNDONE and undone:
                    undone -= 1
                elif error.context.get("broken") and broken:
                    broken -= 1
                else:
                    raise

    @contextmanager
    def transaction(self, patience: float = math.inf) -> Iterator[Transaction]:
        """Run several statements in one transaction, which may take so many seconds."""
        deadline = time.monotonic() + patience
        with (
            _slot(self._transactions, deadline),
            self._borrowed(deadline) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("begin")
            transaction = Transaction(cursor, self._statements)
            try:
                yield transaction
            except BaseException:
                transaction.end("rollback")
                raise
            transaction.end("commit")

    def close(self) -> None:
        """Close the connections that nobody is using."""
        for connection in iter(self._take, None):
            connection.close()

    def _run(self, statement: Statement, arguments: dict[str, Any], deadline: float) -> Rows:
        with self._borrowed(deadline) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement.sql, arguments)
            except _UNMIGRATED as error:
                raise StoreUnavailable(
                    "The database's schema does not fit this code; migrate it.",
                    sqlstate=error.pgcode,
                ) from error
            return _rows(cursor)

    @contextmanager
    def _borrowed(self, deadline: float) -> Iterator[Connection]:
        with _slot(self._slots, deadline):
            connection = self._connected(deadline)
            try:
                yield connection
            except _UNSTORABLE as error:
                raise StoreRejected(sqlstate=getattr(error, "pgcode", None)) from error
            except _PASSING as error:
                broken = connection.closed != 0 and not isinstance(error, Overdue)
                if isinstance(error, pg.ReadOnlySqlTransaction | Overdue):
                    connection.close()  # a primary that was replaced, or one that is silent
                sqlstate = getattr(error, "pgcode", None)
                raise StoreUnavailable(broken=broken, sqlstate=sqlstate) from error
            finally:
                if not connection.closed:
                    self._idle.append(connection)

    def _connected(self, deadline: float) -> Connection:
        for connection in iter(self._take, None):
            if is_quiet(connection):
                connection.deadline = deadline
                return connection
            connection.close()
        try:
            connection = self._opened(min(deadline, time.monotonic() + OPENING))
        except pg.ProgrammingError:
            # Its text quotes the URL, which holds a password.
            raise InvalidSettings("DATABASE_URL is not a libpq URL.") from None
        except (pg.OperationalError, Overdue) as error:
            raise StoreUnavailable from error
        connection.deadline = deadline
        return connection

    def _opened(self, deadline: float) -> Connection:
        try:
            return connect(self._address.parameters(), deadline)
        except pg.OperationalError:
            if not self._address.renewed():
                raise
            return connect(self._address.parameters(), deadline)

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # asked instead of told: another thread may be quicker
            return None


@contextmanager
def _slot(slots: threading.BoundedSemaphore, deadline: float) -> Iterator[None]:
    wait = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
    if not slots.acquire(timeout=wait):
        raise StoreUnavailable("Every connection to the database is in use; try again.")
    try:
        yield
    finally:
        slots.release()


def _rows(cursor: Any) -> Rows:
    if cursor.description is None:
        return []
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
