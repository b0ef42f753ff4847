"""Servers and databases for tests: started once, cloned for each."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from chalicelib import migrations
from chalicelib.db import Database
from chalicelib.settings import Settings
from tests.fakes import Heard
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

hypothesis.settings.register_profile(
    "house",
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("house")

# No test may depend on, or reach, what the shell it runs in is set up for.
for _name in [*(name.upper() for name in Settings.model_fields), "AWS_DEFAULT_REGION"]:
    os.environ.pop(_name, None)
os.environ.pop("AWS_PROFILE", None)
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",  # noqa: S106  (what local servers take)
    AWS_EC2_METADATA_DISABLED="true",
    AWS_ENDPOINT_URL_SQS="http://127.0.0.1:1",
)


def _missing(server: str, error: Exception) -> NoReturn:
    message = f"{server} could not be started: {error}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server's database ``postgres``, whose user may create databases."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tasks-tests-")))
        folder.chmod(0o755)  # as root, the server runs as nobody
        try:
            from localdev.postgres import PostgreSQL

            server = stack.enter_context(PostgreSQL(folder, durable=False))
        except Exception as error:  # noqa: BLE001  (whatever it is, there is no server)
            _missing("PostgreSQL", error)
        yield server.url("postgres")


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Iterator[Callable[[str | None], str]]:
    """Makes a database, a copy of a template if one is named, and returns its URL."""
    mark, numbers = f"test_{uuid.uuid4().hex[:8]}", itertools.count(1)
    admin = psycopg2.connect(postgres_url)
    admin.autocommit = True

    def make(template: str | None = None) -> str:
        name = f"{mark}_{next(numbers)}"
        source = parse_dsn(template)["dbname"] if template else "template1"
        with admin.cursor() as cursor:
            cursor.execute(f"create database {name} template {source}")
        made.append(name)
        return _url(postgres_url, name)

    made: list[str] = []
    yield make
    with admin.cursor() as cursor:
        for name in made if "TEST_DATABASE_URL" in os.environ else ():
            cursor.execute(f"drop database {name} with (force)")
    admin.close()


def _url(admin: str, name: str) -> str:
    # A libpq URL; what else the given one holds (its sslmode, say) is kept.
    parts = parse_dsn(make_dsn(admin, dbname=name))
    user, password, host = parts["user"], parts.get("password", ""), parts["host"]
    return f"postgresql://{user}:{password}@{host}:{parts.get('port', 5432)}/{name}"


@pytest.fixture(scope="session")
def template_url(new_database: Callable[[str | None], str]) -> str:
    """The URL of a migrated database that nobody writes to."""
    url = new_database(None)
    database = Database(url)
    migrations.migrate(database)
    database.close()
    return url


@pytest.fixture(scope="module")
def module_url(new_database: Callable[[str | None], str], template_url: str) -> str:
    """The URL of a migrated database that the tests of one file share."""
    return new_database(template_url)


#: What a test may have put something into.
TABLES = (
    "tasks",
    "api_keys",
    "idempotency_keys",
    "tenant_allowances",
    "kind_limits",
    "rate_buckets",
    "schedules",
)


@pytest.fixture
def database_url(module_url: str) -> str:
    """The URL of a migrated, empty database; its schema is not to be changed."""
    # A clone for each test would be as clean, and cost more than most of the tests.
    connection = psycopg2.connect(module_url, options="-c lock_timeout=5s")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"delete from {table}")  # noqa: S608  (names of our own)
        for table in ("tasks", "schedules"):
            cursor.execute(f"alter table {table} alter id restart")
    return module_url


@pytest.fixture
def own_database_url(new_database: Callable[[str | None], str], template_url: str) -> str:
    """The URL of a migrated database that the test may spoil."""
    return new_database(template_url)


@pytest.fixture
def empty_url(new_database: Callable[[str | None], str]) -> str:
    """The URL of a database without a table."""
    return new_database(None)


@pytest.fixture
def world_of(database_url: str) -> Iterator[Callable[..., World]]:
    """Makes the service, on this test's database, with settings of its own."""
    with contextlib.ExitStack() as stack:

        def make(queue: Any = None, **settings: Any) -> World:
            world = World(database_url, queue, **settings)
            stack.callback(world.close)
            return world

        yield make


@pytest.fixture
def world(world_of: Callable[..., World]) -> World:
    """The service on this test's database and a fake queue."""
    return world_of()


@pytest.fixture(scope="session")
def sqs_endpoint() -> Iterator[str]:
    """The URL of an SQS server."""
    if url := os.environ.get("TEST_SQS_ENDPOINT"):
        yield url
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tasks-tests-"))
        try:
            from localdev.sqs import SqsServer

            server = stack.enter_context(SqsServer(log=Path(folder) / "sqs.log"))
        except Exception as error:  # noqa: BLE001  (whatever it is, there is no server)
            _missing("SQS", error)
        yield server.endpoint


@pytest.fixture(scope="session")
def sqs(sqs_endpoint: str) -> Iterator[Any]:
    """A boto3 client of the SQS server."""
    import boto3

    client = boto3.client("sqs", region_name="us-east-1", endpoint_url=sqs_endpoint)
    yield client
    client.close()


@pytest.fixture
def queue_name(sqs: Any) -> str:
    """The name of a new queue whose messages go to ``<name>-dlq`` after three receives."""
    name = f"queue-{uuid.uuid4().hex[:12]}"
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 3}
    attributes = {"VisibilityTimeout": "360", "RedrivePolicy": json.dumps(policy)}
    sqs.create_queue(QueueName=name, Attributes=attributes)
    return name


@pytest.fixture(scope="session")
def lambda_python() -> Path:
    """The Python that has what Lambda's has, for running a package."""
    from localdev import tools
    from localdev.errors import StackError

    try:
        return tools.python_of("lambda")
    except StackError as error:
        _missing("Lambda's Python", error)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Every log record of the service while the test runs."""
    handler, logger = Heard(), logging.getLogger("chalicelib")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)
