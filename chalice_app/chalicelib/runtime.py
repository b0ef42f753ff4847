"""Builds the service from its parts; the only module that knows all of them."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib import access, handlers, logs, migrations, tracing
from chalicelib.db import RDS_ROOTS, Address, Database, SecretAddress
from chalicelib.errors import BatchPartiallyFailed, ServiceError, StoreUnavailable
from chalicelib.metrics import Metrics
from chalicelib.queue import TaskQueue
from chalicelib.schemas import Health
from chalicelib.service import KeyService, Post, TaskService, kinds_of
from chalicelib.settings import Settings, tracing_header
from chalicelib.store import ClientStore, KeyStore, Store
from chalicelib.sweeper import Sweeper
from chalicelib.worker import Alarm, Invocation, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.registry import Context, Registry
    from chalicelib.schemas import Kinds
    from chalicelib.task import Task

logger = logging.getLogger(__name__)


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
        self._cold = True
        self.database = Database(
            _address(settings),
            connections=settings.database_connections,
            patience=settings.database_patience,
        )
        query = tracing.traced(self.database.query, lambda name, **_: name)
        run = tracing.traced(
            Alarm(registry.run, settings).run, _kind, task_id=_id, attempt=_attempt
        )
        self._query = query
        self._registry = registry
        self.store = Store(query, settings)
        self.queue = queue or TaskQueue(
            _sqs_client(settings), settings.queue_name, settings.dead_letter_queue_name
        )
        self.post = Post(self.store, self.queue, settings)
        self.keys = KeyService(KeyStore(query))
        self.worker = Worker(self.store, self.queue, run, settings)
        self.sweeper = Sweeper(self.store, self.queue, settings)

    @contextmanager
    def invocation(self, context: Any) -> Iterator[None]:
        """Let each line that is logged inside the block tell of the invocation it belongs to.

        Takes Lambda's context. The metrics of the invocation are told at the end. Raises what is
        raised inside, but a ServiceError for what is none.
        """
        facts = {
            "function": context.function_name,
            "request_id": context.aws_request_id,
            "trace_id": logs.trace_id(tracing_header()),
        }
        with logs.bound(**facts), self.metrics.invocation() if self.metrics else nullcontext():
            if self._cold:
                self._cold = False
                logger.info("cold_start")
            with _discreet():
                yield

    def serve(self, authorization: str | None) -> TaskService:
        """Return the desk for whoever sent this header; raises Unauthorized."""
        asks = self.settings.auth == "keys"
        caller = access.identify(authorization) if asks else access.ANYBODY
        store = ClientStore(self._query, self.settings, caller)
        return TaskService(store, self.post, self._registry)

    def kinds(self) -> Kinds:
        """Return every kind that has a handler."""
        return kinds_of(self._registry)

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
        if self.store.read_schema_version() < migrations.newest_version():
            raise StoreUnavailable("The database's schema is older than this code; migrate it.")
        return Health()


@lru_cache(maxsize=1)
def current() -> Runtime:
    """Return the runtime of this process, built from the environment once."""
    settings = Settings.from_env()
    if settings.tracing == "xray":
        tracing.enable()
    runtime = Runtime(settings)
    logs.configure(settings.log_level, *([runtime.metrics] if runtime.metrics else []))
    return runtime


def accompany(event: Any, proceed: Callable[[Any], Any]) -> Any:
    """Have an event of any sort worked as an invocation; a middleware of Chalice's."""
    with current().invocation(getattr(event, "lambda_context", None) or event.context):
        return proceed(event)


@contextmanager
def _discreet() -> Iterator[None]:
    try:
        yield
    except BatchPartiallyFailed:
        raise  # which is how the mapping is told
    except Exception as error:
        logger.exception("invocation_failed")
        if isinstance(error, ServiceError):
            raise
        # Lambda writes the text of what is raised into the log, and it may quote a client.
        raise ServiceError from None


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


def _remaining(context: Any) -> Callable[[], float]:
    return lambda: float(context.get_remaining_time_in_millis()) / 1000


def _address(settings: Settings) -> Address:
    roots = RDS_ROOTS if settings.database_tls == "rds" else settings.database_tls
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


def _sqs_client(settings: Settings) -> Callable[[], Any]:
    lock = threading.Lock()
    made: list[Any] = []

    def client() -> Any:
        with lock:  # boto3 builds clients on one thread at a time
            if not made:
                made.append(_new_sqs_client(settings))
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
