"""Builds the service from its parts; the only module that knows all of them."""

from __future__ import annotations

import random
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib import access, handlers, logs, migrations, tracing
from chalicelib.db import RDS_ROOTS, Address, Database, SecretAddress, TokenAddress
from chalicelib.errors import StoreUnavailable
from chalicelib.invocation import Invocations
from chalicelib.metrics import Metrics
from chalicelib.queue import TaskQueue
from chalicelib.schemas import Health
from chalicelib.service import AdminDesk, Diagnosis, KeyService, Post, TaskService
from chalicelib.settings import Settings
from chalicelib.store import ClientStore, HealthStore, KeyStore, Store
from chalicelib.sweeper import Sweeper
from chalicelib.worker import Alarm, Invocation, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.registry import Context, Registry
    from chalicelib.task import Task


class Runtime:
    """Every part of the service, put together; nothing is connected before it is used."""

    def __init__(
        self,
        settings: Settings,
        *,
        queue: TaskQueue | None = None,
        registry: Registry = handlers.registry,
    ) -> None:
        """Take the settings; a test may bring a queue or handlers of its own."""
        self.settings = settings
        self.metrics = _metrics(settings, registry)
        self.invocations = Invocations(self.metrics)
        self.database = Database(
            _address(settings),
            connections=settings.database_connections,
            patience=settings.database_patience,
        )
        query = tracing.traced(self.database.query, lambda name, /, **_: name)
        run = tracing.traced(
            Alarm(registry.run, settings).run, _kind, task_id=_id, kind=_kind, attempt=_attempt
        )
        run = tracing.linked(run, _trace)
        self._query = query
        self._registry = registry
        self.store = Store(query, settings)
        self.queue = queue or TaskQueue(
            _once(lambda: _new_sqs_client(settings)),
            settings.queue_name,
            settings.dead_letter_queue_name,
            headers=tracing.outgoing,
        )
        self.post = Post(self.store, self.queue, settings)
        self.health = HealthStore(query, settings)
        self.admin = AdminDesk(KeyService(KeyStore(query)), Diagnosis(self.health))
        self.worker = Worker(self.store, self.queue, run, settings)
        self.sweeper = Sweeper(self.store, self.queue, settings)

    def serve(self, authorization: str | None) -> TaskService:
        """Return the desk for whoever sent this header; raises Unauthorized."""
        asks = self.settings.auth == "keys"
        caller = access.identify(authorization) if asks else access.ANYBODY
        store = ClientStore(self._query, self.settings, caller)
        limit = self.settings.open_limit
        return TaskService(store, self.post, self._registry, open_limit=limit)

    def work(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Work the messages of a Lambda event, see Worker."""
        invocation = Invocation(context.aws_request_id, _remaining(context))
        return self.worker.work(event["Records"], invocation)

    def sweep(self, event: dict[str, Any], context: Any) -> dict[str, int]:
        """Do one tick of the sweeper.

        An event whose ``detail`` is ``{"queue_lost": true}`` sends every waiting task again.
        """
        lost = event["detail"].get("queue_lost") is True
        return self.sweeper.sweep(_remaining(context), queue_lost=lost)

    def migrate(self) -> dict[str, Any]:
        """Bring the schema and the role's limits up to date and say which files were applied."""
        applied = migrations.migrate(self.database)
        patience, invocation = self.settings.database_patience, self.settings.worker_timeout
        migrations.limit_role(self.database, patience=patience, invocation=invocation)
        return {"applied": applied}

    def readiness(self) -> Health:
        """Return that tasks can be taken; raises StoreUnavailable when they cannot."""
        if self.health.read_schema_version() < migrations.newest_version():
            raise StoreUnavailable("The database's schema is older than this code; migrate it.")
        return Health()


@lru_cache(maxsize=1)
def current() -> Runtime:
    """Return the runtime of this process, built from the environment once."""
    settings = Settings.from_env()
    # A process restored from a snapshot would roll the same dice as all its copies: what was
    # imported into the snapshot has one state, and this is the first that runs after it.
    random.seed()
    if settings.tracing != "off":
        tracing.enable(settings.tracing, patience=settings.tracing_patience)
    runtime = Runtime(settings)
    logs.configure(settings.log_level, *([runtime.metrics] if runtime.metrics else []))
    return runtime


def observed(
    event: Any, respond: Callable[[Any], Any], describe: Callable[[Any], tracing.Invocation]
) -> Any:
    """Return what ``respond`` answers to an event; that is one trace, and one invocation."""
    runtime = current()  # which switches tracing on

    def answer() -> Any:
        with runtime.invocations.of(getattr(event, "lambda_context", None) or event.context):
            return respond(event)

    return tracing.observe(answer, lambda: describe(event))


def _metrics(settings: Settings, registry: Registry) -> Metrics | None:
    if settings.metrics == "off":
        return None
    return Metrics(settings.metrics_namespace, settings.metrics_stage, registry.kinds)


def _kind(task: Task, context: Context) -> str:  # noqa: ARG001  (called like a handler)
    return task.kind


def _id(task: Task, context: Context) -> int:  # noqa: ARG001
    return task.id


def _attempt(task: Task, context: Context) -> int:  # noqa: ARG001
    return task.attempts_spent


def _trace(task: Task, context: Context) -> Mapping[str, str]:  # noqa: ARG001
    return context.trace


def _remaining(context: Any) -> Callable[[], float]:
    return lambda: float(context.get_remaining_time_in_millis()) / 1000


def _address(settings: Settings) -> Address:
    roots = RDS_ROOTS if settings.database_tls == "rds" else settings.database_tls
    if settings.database_auth == "iam":
        return TokenAddress(settings.database_url, roots, _signer(settings.aws_region))
    arn = settings.database_secret_arn
    if not arn:
        return Address(settings.database_url, roots)
    return SecretAddress(settings.database_url, roots, lambda: _read_secret(arn))


def _read_secret(arn: str) -> str:
    import boto3  # noqa: PLC0415  (only a process that has a secret pays for it)
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
    try:
        client = boto3.client("secretsmanager", region_name=arn.split(":")[3], config=config)
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable("The database's password cannot be read.") from error


def _signer(region: str) -> Callable[[str, int, str], str]:
    client = _once(lambda: _new_rds_client(region))

    def sign(host: str, port: int, user: str) -> str:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            token = client().generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
        except BotoCoreError as error:
            raise StoreUnavailable("There are no credentials for the database.") from error
        return str(token)

    return sign


def _new_rds_client(region: str) -> Any:
    import boto3  # noqa: PLC0415  (only a process that signs pays for it)

    return boto3.client("rds", region_name=region)


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    lock = threading.Lock()
    made: list[Any] = []

    def client() -> Any:
        with lock:  # boto3 builds clients on one thread at a time
            if not made:
                made.append(make())
            return made[0]

    return client


def _new_sqs_client(settings: Settings) -> Any:
    import boto3  # noqa: PLC0415  (130 ms that a worker without retries never pays)
    from botocore.config import Config  # noqa: PLC0415

    # Short: a client waits while a queue that is down is asked.
    config = Config(
        connect_timeout=0.4,
        read_timeout=0.5,
        retries={"total_max_attempts": 1},
        max_pool_connections=50,
    )
    return boto3.client("sqs", region_name=settings.aws_region, config=config)
