"""The servers of a soak: PostgreSQL, SQS, the proxy before both, and the queues."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from chalicelib.settings import Settings
from localdev import parts, processes
from localdev.postgres import PostgreSQL
from localdev.seed import Plan, Queues
from localdev.seed import seed as create_queues
from localdev.sqs import SqsServer
from soak import proxy
from soak.crew import Crew, context
from soak.lane import sqs_client

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from soak.options import Options
    from soak.scale import Times

DATABASE = "soak"
QUEUE = "soak-queue"
CHOOSABLE = ("AWS_DEFAULT_REGION", "PARTIAL_BATCH")  # settings that are taken as they are
WITNESS = Path(__file__).with_name("witness.sql")
# Else moto, like AWS, purges a queue once a minute only.
_PURGE_OFTEN = "MOTO_SQS_ENFORCE_STRICT_QUEUE_PURGE_BEHAVIOUR"
# Shares of the replies that are cut.
CUT_SQS, CUT_POSTGRES = 1 / 150, 1 / 300


@dataclass
class Scene:
    """Everything that runs beside the crew; what faults need to get at it."""

    crew: Crew
    postgres: PostgreSQL
    listener: socket.socket  # the API's
    sqs: Any  # a client that goes past the proxy
    queues: Queues
    to_postgres: proxy.Route
    to_sqs: proxy.Route

    @property
    def port(self) -> int:
        """Where the API listens."""
        return int(self.listener.getsockname()[1])

    @functools.cached_property
    def _url(self) -> str:
        return self.postgres.url(DATABASE)

    def query(self, statement: str, **arguments: Any) -> list[tuple[Any, ...]]:
        """Run a statement past the proxy. Raises psycopg2.Error while the database is away."""
        connection = psycopg2.connect(
            self._url, connect_timeout=5, application_name="soak", options="-c statement_timeout=0"
        )
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall()) if cursor.description else []

    def depth(self) -> int:
        """Return how many messages the queue holds: visible, in flight and delayed."""
        return _depth(self.sqs, self.queues.url)

    def letters(self) -> int:
        """Return how many messages the dead-letter queue shows; the sweeper may hold some."""
        return _depth(self.sqs, self.queues.dead_letter_url, ("",))

    def stop_postgres(self) -> None:
        """Stop the database in the mode `immediate`: nothing is flushed, nobody is told."""
        pid = int((self.postgres.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while self.postgres.running():
            time.sleep(0.01)

    def witness(self) -> None:
        """Add what the oracle goes by to the migrated database."""
        self.query(WITNESS.read_text())


def start(stack: contextlib.ExitStack, folder: Path, times: Times, options: Options) -> Scene:
    """Start all servers, to be stopped by ``stack``, and put the environment in order."""
    postgres = PostgreSQL(folder / "postgres")
    if options.data is None:
        stack.callback(_remove_elsewhere, postgres, folder)
    stack.callback(postgres.stop)  # first, for an interrupt during the start
    postgres.start()
    _empty_database(postgres)
    endpoint = _endpoint(stack, folder)
    sockets = [stack.enter_context(processes.listen()) for _ in range(3)]
    _settle_environ(postgres, sockets, times, options.seed)
    crew = Crew(options.seed, folder / "processes.log")
    stack.callback(crew.dismiss)
    context.set_forkserver_preload(
        ["soak.ahead", "soak.proxy", "soak.clients", f"soak.{options.algorithm}"]
    )
    client = sqs_client(endpoint)
    routes = [
        _route(sockets[0], postgres.url(DATABASE), CUT_POSTGRES),
        _route(sockets[1], endpoint, CUT_SQS),
    ]
    scene = Scene(crew, postgres, sockets[2], client, _make_queues(client), *routes)
    crew.hire("proxy", proxy.serve, routes)
    return scene


def _remove_elsewhere(postgres: PostgreSQL, folder: Path) -> None:
    # As root, the server's data lie where `nobody` can reach them.
    data: Path | None = getattr(postgres, "data", None)
    if data is not None and not data.is_relative_to(folder):
        shutil.rmtree(data.parent, ignore_errors=True)


def _route(listener: socket.socket, url: str, share: float) -> proxy.Route:
    port = urlsplit(url).port or 80
    values = [context.Value("l", 0) for _ in range(3)]
    return proxy.Route(listener, port, share, *values)


def _endpoint(stack: contextlib.ExitStack, folder: Path) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SQS") or ""
    parts.refuse_aws(endpoint)
    if endpoint:
        return endpoint
    os.environ[_PURGE_OFTEN] = "false"
    sqs = SqsServer(log=folder / "sqs.log")
    stack.callback(sqs.stop)
    sqs.start()
    sqs.wait_until_ready()
    return sqs.endpoint


def _empty_database(postgres: PostgreSQL) -> None:
    connection = psycopg2.connect(postgres.url("postgres"))
    connection.autocommit = True
    name = sql.Identifier(DATABASE)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        cursor.execute(sql.SQL("create database {}").format(name))


def _settle_environ(
    postgres: PostgreSQL, sockets: list[socket.socket], times: Times, seed: int
) -> None:
    # Here, since the crew is forked from a process that takes over this one's environment.
    url = postgres.url(DATABASE)
    to_postgres, to_sqs, _ = (listener.getsockname()[1] for listener in sockets)
    direct, proxied = (f"@{processes.HOST}:{port}/" for port in (urlsplit(url).port, to_postgres))
    endpoint = f"http://{processes.HOST}:{to_sqs}"
    # A queue of our own: the endpoint may be one that is in use, and the queue will be purged.
    chosen = {name: os.environ.get(name, "") for name in CHOOSABLE} | {"QUEUE_NAME": QUEUE}
    values = parts.settings(chosen, url.replace(direct, proxied), endpoint) | times.environ()
    values |= {
        "LOG_LEVEL": "ERROR",
        "SOAK_SEED": str(seed),
        "SOAK_FACTOR": str(times.factor),
        "SOAK_ZOMBIE": str(times.zombie),
        "SOAK_EFFECTS_URL": url,
    }
    os.environ.update(parts.environ_of_parts({}, processes.python_environ(values)))
    os.environ.pop("AWS_PROFILE", None)


def _make_queues(client: Any) -> Queues:
    plan = Plan.of(Settings.from_env())
    queues = create_queues(client, plan)
    for url in (queues.url, queues.dead_letter_url):
        if _depth(client, url):
            client.purge_queue(QueueUrl=url)
    answer = client.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["QueueArn"])
    os.environ["SOAK_QUEUE_URL"] = queues.url
    os.environ["SOAK_QUEUE_ARN"] = answer["Attributes"]["QueueArn"]
    return queues


def _depth(client: Any, url: str, parts: Sequence[str] = ("", "NotVisible", "Delayed")) -> int:
    counts = [f"ApproximateNumberOfMessages{part}" for part in parts]
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=counts)
    return sum(int(answer["Attributes"][name]) for name in counts)
