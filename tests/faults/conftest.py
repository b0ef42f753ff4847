from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from chalice.test import Client
from psycopg2.extensions import parse_dsn

import app as front_door
from chalicelib import migrations, runtime
from chalicelib.db import Database
from chalicelib.registry import Registry
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.worker import persist
from localdev.processes import HOST
from tests.conftest import _missing
from tests.fakes import FakeQueue
from tests.faults.lines import FakeLine, SqsLine
from tests.faults.proxy import Proxy
from tests.faults.scene import WITNESS, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localdev.postgres import PostgreSQL
    from tests.faults.lines import Line

PROJECT = Path(front_door.__file__).parent


def run_sql(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker gives the database up sooner than after its five seconds."""
    monkeypatch.setattr(persist, "PERSISTENCE", (0.02, 0.05))


@pytest.fixture(scope="session")
def witnessed_url(new_database: Callable[[str | None], str], template_url: str) -> str:
    """The URL of a database that nobody writes to; it takes note of every move of a task."""
    url = new_database(template_url)
    run_sql(url, WITNESS)
    return url


@pytest.fixture(scope="module")
def shared_url(new_database: Callable[[str | None], str], witnessed_url: str) -> str:
    """The URL of a witnessed database that the tests of one file share."""
    return new_database(witnessed_url)


@pytest.fixture
def url(shared_url: str) -> str:
    """The URL of an empty, witnessed database; its schema and settings are not to be changed."""
    end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
    others = "where datname = current_database() and pid <> pg_backend_pid()"
    run_sql(shared_url, f"{end} {others}", "truncate tasks, moves restart identity")
    return shared_url


@pytest.fixture
def own_url(new_database: Callable[[str | None], str], witnessed_url: str) -> str:
    """The URL of a witnessed database that the test may do anything to."""
    return new_database(witnessed_url)


@pytest.fixture
def scene_of(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    """Makes the service; ``through`` is the way it takes to the database, ``line`` its queue."""
    with contextlib.ExitStack() as stack:

        def make(
            through: str | None = None,
            *,
            own: str = url,
            line: Line | None = None,
            queue: FakeQueue | None = None,
            **values: Any,
        ) -> Scene:
            queue = queue or (None if line else FakeQueue())
            registry = Registry()
            chosen = {
                "database_url": through or own,
                "auth": "off",
                "partial_batch": "report",
            } | values
            made = Runtime(Settings.model_validate(chosen), queue=queue, registry=registry)
            monkeypatch.setattr(runtime, "current", lambda: made)
            client = Client(front_door.app, project_dir=str(PROJECT))
            scene = Scene(made, registry, client, line or FakeLine(made.queue), own)
            stack.callback(scene.close)
            return scene

        yield make


@pytest.fixture
def scene(scene_of: Callable[..., Scene]) -> Scene:
    """The service on a database of its own and the fake queue."""
    return scene_of()


@pytest.fixture
def database_proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the database."""
    parts = parse_dsn(url)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        yield proxy


@pytest.fixture
def far(scene_of: Callable[..., Scene], url: str, database_proxy: Proxy) -> Scene:
    """The service behind the proxy before the database; it waits a second for an answer."""
    return scene_of(behind(url, database_proxy), database_patience=1.0)


def behind(url: str, proxy: Proxy) -> str:
    """Return ``url`` by way of the proxy; nothing is asked of the server before the start."""
    parts = parse_dsn(url)
    place = f"{HOST}:{proxy.port}/{parts['dbname']}"
    account = f"{parts['user']}:{parts.get('password', '')}"
    return f"postgresql://{account}@{place}?sslmode=disable&gssencmode=disable"


@pytest.fixture
def sqs_proxy(sqs_endpoint: str) -> Iterator[Proxy]:
    """A proxy before the SQS server."""
    place = urlsplit(sqs_endpoint)
    with Proxy(str(place.hostname), place.port or 80) as proxy:
        yield proxy


@pytest.fixture
def wired(
    scene_of: Callable[..., Scene],
    sqs: Any,
    queue_name: str,
    sqs_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """The service on an SQS server that it reaches through the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://{HOST}:{sqs_proxy.port}")
    scene = scene_of(line=SqsLine(sqs, queue_name), queue_name=queue_name)
    yield scene
    close_client(scene)


def close_client(scene: Scene) -> None:
    """Close the service's own connections to SQS."""
    scene.runtime.queue.letters._client().close()


@pytest.fixture(scope="session")
def own_server() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that tests may stop, kill and start."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tasks-tests-")))
        folder.chmod(0o755)  # as root, the server runs as nobody
        try:
            from localdev.postgres import PostgreSQL

            server = stack.enter_context(PostgreSQL(folder, durable=False))
        except Exception as error:  # noqa: BLE001  (whatever it is, there is no server)
            _missing("PostgreSQL", error)
        yield server


@pytest.fixture
def server_url(own_server: PostgreSQL) -> Iterator[str]:
    """The URL of a witnessed database on the server that may be stopped."""
    if not own_server.running():
        own_server.start()
    admin = own_server.url("postgres")
    run_sql(admin, "drop database if exists faults with (force)", "create database faults")
    # What it has confirmed shall outlive its end; for the disk's sake nothing is awaited.
    run_sql(admin, "alter database faults set synchronous_commit = on")
    url = own_server.url("faults")
    database = Database(url)
    migrations.migrate(database)
    database.close()
    run_sql(url, WITNESS)
    yield url
    if not own_server.running():
        own_server.start()
