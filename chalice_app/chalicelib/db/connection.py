"""A connection that does not wait for ever.

libpq waits without end for a server that acknowledges what it is sent and never answers: neither
keepalives nor tcp_user_timeout nor statement_timeout end that. So the waiting is done here.
"""

from __future__ import annotations

import math
import select
import time
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions

if TYPE_CHECKING:
    from collections.abc import Mapping


class Overdue(Exception):
    """The server did not answer by the connection's deadline."""


class Connection(extensions.connection):
    """A connection with a ``deadline`` on time.monotonic()'s clock."""

    deadline: float = math.inf


def connect(parameters: Mapping[str, Any], deadline: float) -> Connection:
    """Open a connection with libpq's parameters, a URL as ``dsn`` among them.

    Raises psycopg2.OperationalError, or Overdue at the deadline.
    """

    class Opening(Connection):
        pass

    # The opening itself waits already, before there is an object to set anything on.
    Opening.deadline = deadline
    connection: Connection = psycopg2.connect(
        connection_factory=Opening,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        application_name="chalice-tasks",
        **parameters,
    )
    connection.autocommit = True
    return connection


def is_quiet(connection: Connection) -> bool:
    """Tell whether an idle server has said nothing: whatever it says is its farewell."""
    return not _ready(connection, select.POLLIN, 0)


def _wait(connection: Any) -> None:
    # Called by psycopg2 for every connection of the process; those that are not ours have no
    # deadline and wait as libpq would.
    deadline = getattr(connection, "deadline", math.inf)
    while (state := connection.poll()) != extensions.POLL_OK:
        event = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        left = deadline - time.monotonic()
        if left <= 0 or not _ready(connection, event, left):
            raise Overdue


def _ready(connection: Any, event: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(connection.fileno(), event)
    return bool(waiting.poll(None if math.isinf(seconds) else seconds * 1000))


extensions.set_wait_callback(_wait)
