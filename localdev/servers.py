"""Starts the database and the queue server, or takes those the user names."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg2

from localdev import parts, processes
from localdev.errors import StackError
from localdev.parts import Part
from localdev.postgres import PostgreSQL
from localdev.sqs import SqsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DATABASE = "interview_db"
# Wanted so that addresses stay the same from run to run; taken ones are no trouble.
POSTGRES_PORT, SQS_PORT = 15432, 14566

_NO_URL = (
    "DATABASE_URL cannot be read as postgresql://user:password@host:port/database; in its user "
    "and password write a % as %25, and @ / ? # : in the same way (%40 %2F %3F %23 %3A)"
)
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\s@:/?\#\[\],]*)(:\d*)?"
_LIBPQ_URL = re.compile(
    rf"""postgres(ql)?://
        (([^\s@:/?\#%]|%[0-9A-Fa-f]{{2}})* (:([^\s@/?\#%]|%[0-9A-Fa-f]{{2}})*)? @)?  # user:password
        {_HOST} (,{_HOST})*
        (/[^\s@?\#]*)? (\?[^\s@\#]*)?""",
    re.VERBOSE,
)


@dataclass
class Servers:
    """Where the two are, and what the mapping has to know of their past."""

    database_url: str = ""
    endpoint: str = ""
    psql: str = "psql"
    mapping_flags: list[str] = field(default_factory=list)


def start(
    folder: Path, environ: Mapping[str, str], running: list[Part], say: Callable[[str], None]
) -> Servers:
    """Start what ``environ`` does not name, adding it to ``running`` in the order to stop last.

    Raises StackError if one does not start or cannot be reached.
    """
    servers = Servers()
    servers.endpoint = environ.get("AWS_ENDPOINT_URL_SQS") or ""
    parts.refuse_aws(servers.endpoint)
    if not servers.endpoint:
        # First, as it takes longest and is not waited for here.
        servers.endpoint = _start_sqs(folder, running)
        servers.mapping_flags.append("--queue-lost")
    servers.database_url = environ.get("DATABASE_URL") or ""
    if servers.database_url:
        _check_database(servers.database_url)
    else:
        server = _start_postgres(folder, running, say)
        servers.database_url, servers.psql = server.url(DATABASE), str(server.bin("psql"))
        servers.mapping_flags.append("--expire-leases")
    return servers


def _start_sqs(folder: Path, running: list[Part]) -> str:
    log = folder / "sqs.log"
    sqs = SqsServer(port=SQS_PORT, log=log)
    sqs.start()
    tail = functools.partial(processes.last_lines, log)
    running.append(Part("sqs", sqs.running, sqs.ending, tail, sqs.stop, sqs.kill))
    return sqs.endpoint


def _start_postgres(folder: Path, running: list[Part], say: Callable[[str], None]) -> PostgreSQL:
    server = PostgreSQL(folder / "postgres", port=POSTGRES_PORT, say=say)
    server.start()
    tail = functools.partial(processes.last_lines, server.log)
    part = Part("postgres", server.running, server.ending, tail, server.stop, server.kill)
    running.insert(0, part)
    server.create_database(DATABASE)
    return server


def _check_database(url: str) -> None:
    # Checked first: libpq's messages quote what they cannot read, which may be a password.
    if not _LIBPQ_URL.fullmatch(url):
        raise StackError(_NO_URL)
    try:
        psycopg2.connect(url, connect_timeout=5).close()
    except psycopg2.ProgrammingError:
        raise StackError(_NO_URL) from None
    except psycopg2.Error as error:
        message = f"the database of DATABASE_URL cannot be reached:\n{error}"
        raise StackError(message) from None
