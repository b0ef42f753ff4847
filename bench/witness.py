"""PostgreSQL's own count of the statements it was asked for, of sessions that want to be seen.

Others are not counted, so that what is measured by the clock does not pay for it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a server is started with that can be a witness.
OPTIONS = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=none")
#: What a process is started with whose sessions are to be seen.
SEEN = {"PGOPTIONS": "-c pg_stat_statements.track=top"}


@dataclass
class Seen:
    """How many statements there were; known after the block."""

    statements: int = 0


def unseen(url: str) -> str:
    """Return a URL whose sessions are not counted, whatever the process was started with."""
    return f"{url}?options=-c%20pg_stat_statements.track%3Dnone"


def call(url: str) -> None:
    """Make the witness ready, in the database of ``url``."""
    with _asking(url) as cursor:
        cursor.execute("create extension pg_stat_statements")


@contextlib.contextmanager
def watching(url: str) -> Iterator[Seen]:
    """Count within the block; ``url`` is that of call()."""
    seen = Seen()
    with _asking(url) as cursor:
        cursor.execute("select pg_stat_statements_reset()")
        yield seen
        cursor.execute("select coalesce(sum(calls), 0)::int from pg_stat_statements")
        [[seen.statements]] = cursor.fetchall()


@contextlib.contextmanager
def _asking(url: str) -> Iterator[psycopg2.extensions.cursor]:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
