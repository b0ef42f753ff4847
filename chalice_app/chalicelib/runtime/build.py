"""Builds the service from its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib import access, handlers, migrations, tracing
from chalicelib.db import RDS_ROOTS, Address, Database, SecretAddress, TokenAddress
from chalicelib.errors import StoreUnavailable
from chalicelib.invocation import Invocations
from chalicelib.metrics import Metrics
from chalicelib.post import Post
from chalicelib.queue import TaskQueue
from chalicelib.runtime import aws
from chalicelib.schemas import Health
from chalicelib.service import (
    AdminDesk,
    Diagnosis,
    KeyService,
    LimitDesk,
    ScheduleDesk,
    TaskService,
    WebhookDesk,
    offer_of,
)
from chalicelib.store import (
    ClientStore,
    DueStore,
    HealthStore,
    KeyStore,
    LimitStore,
    ScheduleStore,
    Store,
)
from chalicelib.sweeper import Schedules, Sweeper
from chalicelib.worker import Alarm, Bench, Invocation, Worker, margin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.context import Context
    from chalicelib.registry import Registry
    from chalicelib.settings import Settings
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
        registry.check(settings.worker_timeout - margin(settings))
        self.metrics = _metrics(settings, registry)
        self.invocations = Invocations(self.metrics)
        self.database = Database(
            _address(settings),
            connections=settings.database_connections,
            patience=settings.database_patience,
        )
        query = self._query = tracing.traced(self.database.query, lambda name, /, **_: name)
        self._registry = registry
        self.store = Store(query, settings)
        self.queue = queue or TaskQueue(
            aws.once(lambda: aws.new_sqs_client(settings)),
            settings.queue_name,
            settings.dead_letter_queue_name,
            high_name=settings.high_queue_name,
            headers=tracing.outgoing,
            fair=settings.auth == "keys",
        )
        self.post = Post(self.store, self.queue, settings)
        self.health = HealthStore(query, settings)
        desks = Diagnosis(self.health), WebhookDesk(settings, aws.read_secret)
        self.admin = AdminDesk(KeyService(KeyStore(query)), *desks)
        self.worker = Worker(self.store, self.queue, self._bench(), settings)
        schedules = Schedules(DueStore(query, settings), registry.attempts)
        self.sweeper = Sweeper(self.store, self.queue, schedules, settings)

    def _bench(self) -> Bench:
        run = tracing.traced(
            Alarm(self._registry.run, self.settings).run,
            _kind,
            task_id=_id,
            kind=_kind,
            attempt=_attempt,
        )
        return Bench(
            registry=self._registry,
            run=tracing.linked(run, _trace),
            query=self._query,
            transaction=self.database.transaction,
            post=self.post,
            client=aws.clients(self.settings.aws_region),
            # A stage's options are not to fail handlers: high goes by the one queue there is.
            offer=replace(offer_of(self.settings), high=True),
        )

    def serve(self, authorization: str | None) -> TaskService:
        """Return the desk for whoever sent this header; raises Unauthorized."""
        told = self.settings
        store = ClientStore(self._query, told, self._caller(authorization))
        limit, offer = told.open_limit, offer_of(told)
        return TaskService(store, self.post, self._registry, open_limit=limit, offer=offer)

    def limit(self, authorization: str | None) -> LimitDesk:
        """Return the desk for limits, for whoever sent this header; raises Unauthorized."""
        store = LimitStore(self._query, self.settings, self._caller(authorization))
        return LimitDesk(store, self.post, self._registry.kinds)

    def schedule(self, authorization: str | None) -> ScheduleDesk:
        """Return the desk for schedules, for whoever sent this header; raises Unauthorized."""
        store = ScheduleStore(self._query, self.settings, self._caller(authorization))
        return ScheduleDesk(store, self._registry, offer_of(self.settings))

    def _caller(self, authorization: str | None) -> access.Caller:
        if self.settings.auth == "off":
            return access.ANYBODY
        return access.identify(authorization)

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


def _metrics(settings: Settings, registry: Registry) -> Metrics | None:
    if settings.metrics == "off":
        return None
    return Metrics(settings.metrics_namespace, settings.metrics_stage, registry.kinds)


def _kind(task: Task, context: Context[Any]) -> str:  # noqa: ARG001  (called like a handler)
    return task.kind


def _id(task: Task, context: Context[Any]) -> int:  # noqa: ARG001
    return task.id


def _attempt(task: Task, context: Context[Any]) -> int:  # noqa: ARG001
    return task.attempts_spent


def _trace(task: Task, context: Context[Any]) -> Mapping[str, str]:  # noqa: ARG001
    return context.trace


def _remaining(context: Any) -> Callable[[], float]:
    return lambda: float(context.get_remaining_time_in_millis()) / 1000


def _address(settings: Settings) -> Address:
    roots = RDS_ROOTS if settings.database_tls == "rds" else settings.database_tls
    if settings.database_auth == "iam":
        return TokenAddress(settings.database_url, roots, aws.signer(settings.aws_region))
    arn = settings.database_secret_arn
    if not arn:
        return Address(settings.database_url, roots)
    return SecretAddress(settings.database_url, roots, lambda: aws.read_secret(arn))
