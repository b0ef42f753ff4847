"""The servers of a benchmark, of its own, and what each contestant has on them."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg2

from bench import witness
from chalicelib import migrations
from chalicelib.db import Database
from localdev import parts, seed, tools
from localdev.keys import key_for_a_day
from localdev.postgres import PostgreSQL
from localdev.sqs import SqsServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Else moto, like AWS, purges a queue once a minute only.
_PURGE_OFTEN = "MOTO_SQS_ENFORCE_STRICT_QUEUE_PURGE_BEHAVIOUR"
#: So wide that they hold nothing back.
_LIMITS = {"RATE_LIMIT": "100000", "RATE_BURST": "1000000", "OPEN_LIMIT": "1000000"}
#: A queue's visibility timeout is six times that: 30 s, as the plain algorithm has it.
_HIDDEN = {"WORKER_TIMEOUT": "5"}


@dataclass(frozen=True)
class Home:
    """What a contestant is started with: its Python, its module, its environment.

    ``server`` is the URL of PostgreSQL's own database.
    """

    name: str
    python: Path
    module: str
    environ: Mapping[str, str]
    log: Path
    server: str


class Stage:
    """The servers, and a database and a queue for each contestant."""

    def __init__(self, folder: Path, postgres: PostgreSQL, endpoint: str) -> None:
        """Take servers that run."""
        self.endpoint = endpoint
        self._folder, self._postgres = folder, postgres
        self._sqs = seed.make_client(endpoint, "us-east-1")
        self._urls: list[str] = []

    def port(self) -> int:
        """Return PostgreSQL's port."""
        return urlsplit(self._postgres.url("postgres")).port or 0

    def machine(self) -> dict[str, str]:
        """Return what PostgreSQL says of itself that matters here."""
        shown: dict[str, str] = {}
        with contextlib.closing(psycopg2.connect(self._postgres.url("postgres"))) as connection:
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers"):
                with connection.cursor() as cursor:
                    cursor.execute(f"show {name}")
                    [[shown[name]]] = cursor.fetchall()
        return shown

    def ours(self, name: str = "ours", *, keys: bool = False, **more: str) -> Home:
        """Return the service's home; with ``keys`` requests need one, and everything has limits."""
        url = self._database(name, migrated=True)
        environ = {"AUTH": "off", **more}
        if keys:
            environ |= {"AUTH": "keys", "BENCH_KEY": key_for_a_day(url), **_LIMITS}
        return self._home(name, "bench.ours", url, environ)

    def floor(self, name: str = "floor") -> Home:
        """Return the home of the bare calls, which work on a table of ours."""
        return self._home(name, "bench.floor", self._database(name, migrated=True), {})

    def plain(self, name: str = "plain") -> Home:
        """Return the plain algorithm's home; its messages stay hidden for 30 s."""
        url = self._database(name, migrated=False)
        return self._home(name, "bench.plain", url, _HIDDEN, tools.python_of("bench"))

    def rest(self) -> None:
        """Empty the queues and let the databases write what they have in memory."""
        for url in self._urls:
            self._sqs.purge_queue(QueueUrl=url)
        with contextlib.closing(psycopg2.connect(self._postgres.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("checkpoint")

    def _database(self, name: str, *, migrated: bool) -> str:
        database = f"bench_{_plain(name)}"
        self._postgres.create_database(database)
        url = self._postgres.url(database)
        if migrated:
            with contextlib.closing(Database(url)) as made:
                migrations.migrate(made)
        return url

    def _home(
        self,
        name: str,
        module: str,
        url: str,
        more: Mapping[str, str],
        python: Path | None = None,
    ) -> Home:
        chosen = {"QUEUE_NAME": f"bench-{_plain(name)}"}
        plan = seed.Plan.of(parts.checked_settings({**chosen, **more}))
        queue = seed.seed(self._sqs, plan).url
        self._urls.append(queue)
        values = parts.settings(chosen, url, self.endpoint) | {
            "BENCH_PREPARE_URL": witness.unseen(url),
            "BENCH_QUEUE_URL": queue,
            **more,
        }
        environ = parts.environ_of_parts({"PATH": os.environ["PATH"]}, values)
        here = python or Path(sys.executable)
        log = self._folder / f"{_plain(name)}.log"
        return Home(name, here, module, environ, log, self._postgres.url("postgres"))


@contextlib.contextmanager
def stage(*, durable: bool) -> Iterator[Stage]:
    """Start the servers in a folder of their own, as the local stack does, and end them after.

    A PostgreSQL that is not ``durable`` writes nothing to disk in time. Raises StackError.
    """
    os.environ[_PURGE_OFTEN] = "false"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tasks-bench-")))
        folder.chmod(0o755)  # as root, PostgreSQL runs as nobody
        postgres = PostgreSQL(folder / "postgres", durable=durable, options=witness.OPTIONS)
        stack.enter_context(postgres)
        witness.call(postgres.url("postgres"))
        sqs = stack.enter_context(SqsServer(log=folder / "sqs.log"))
        yield Stage(folder, postgres, sqs.endpoint)


def _plain(name: str) -> str:
    return name.replace("+", "_")
