"""Claims a batch of tasks and runs their handlers, as long as there is time."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from chalicelib import logs
from chalicelib.errors import Stopped, StoreUnavailable, UnreadableMessage
from chalicelib.fate import Fates
from chalicelib.outcome import Backoff, Released, completed, judge
from chalicelib.queue import Message
from chalicelib.registry import Context
from chalicelib.task import Status
from chalicelib.worker.alarm import margin
from chalicelib.worker.batch import Attempted, Batch
from chalicelib.worker.persist import persist
from chalicelib.worker.settle import Settler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.outcome import Outcome
    from chalicelib.queue import TaskQueue
    from chalicelib.settings import Settings
    from chalicelib.store import Store
    from chalicelib.task import Task
    from chalicelib.worker.batch import Invocation

logger = logging.getLogger(__name__)

#: A result waits this long, in seconds, for others to be settled in the same statement.
PATIENCE = 0.2


class Worker:
    """Works batches; one object serves all invocations of a process."""

    def __init__(
        self,
        store: Store,
        queue: TaskQueue,
        run: Callable[[Task, Context], Any],
        settings: Settings,
    ) -> None:
        """Take the rooms below, and what runs the handler of a task."""
        self._store = store
        self._queue = queue
        self._run = run
        self._settler = Settler(store, reserve=settings.worker_timeout / 12)
        self._settings = settings
        self._margin = margin(settings)
        self._backoff = Backoff(base=settings.retry_delay, longest=settings.retry_delay_max)
        self._duration: dict[str, float] = {}

    def work(self, records: Iterable[dict[str, Any]], invocation: Invocation) -> dict[str, Any]:
        """Work the records of one Lambda event and return what Lambda is to be told.

        Raises BatchPartiallyFailed, see Fates.
        """
        batch = Batch(invocation=invocation, fates=Fates(self._queue, self._settings))
        self._read(batch, records)
        self._work(batch)
        for task_id in batch.apart:
            self._conclude(batch)
            self._work_alone(batch, task_id)
        self._conclude(batch)
        return batch.fates.carry_out()

    def _work(self, batch: Batch, *, alone: bool = False) -> None:
        try:
            tasks = self._claim(batch, alone=alone)
        except StoreUnavailable:
            logger.warning("batch_kept", exc_info=True)
            for task_id in batch.messages:
                batch.leave(task_id)
        else:
            self._run_all(batch, tasks)

    def _work_alone(self, batch: Batch, task_id: int) -> None:
        if self._may_start(batch.invocation, None):
            self._work(batch.alone(task_id), alone=True)
            return
        for message in batch.messages[task_id]:
            batch.fates.decide(message, Status.RETRYING, 0)

    def _read(self, batch: Batch, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            try:
                message = Message.from_record(record)
                batch.messages.setdefault(message.task_id, []).append(message)
            except UnreadableMessage:
                logger.warning("message_unreadable", extra={"message_id": record["messageId"]})
                batch.fates.dead(Message.from_record(record, readable=False))

    def _claim(self, batch: Batch, *, alone: bool) -> list[Task]:
        if not batch.messages:
            return []
        standings = persist(
            lambda: self._store.claim_tasks(
                batch.firsts(),
                token=batch.token,
                lease=batch.invocation.remaining() + self._settings.lease_margin,
                request_id=batch.invocation.request_id,
                alone=alone,
            ),
            batch.invocation,
            self._settings.worker_timeout / 2,  # without time for a handler there is no use in it
        )
        batch.apart = [standing.id for standing in standings if standing.apart]
        for standing in standings:
            if standing.task is None and not standing.apart:
                for message in batch.messages[standing.id]:
                    batch.fates.decide(message, standing.status, standing.wait)
        return [standing.task for standing in standings if standing.task]

    def _run_all(self, batch: Batch, tasks: Sequence[Task]) -> None:
        for number, task in enumerate(tasks):
            seen = self._duration.get(task.kind)
            if number and not self._may_start(batch.invocation, seen):
                attempted = Attempted(task, Released(0))
            else:
                if seen is None or seen > PATIENCE:
                    self._settler.settle(batch)
                attempted = self._attempt(task, batch)
            if not batch.attempted:
                batch.oldest = time.monotonic()
            batch.attempted.append(attempted)
            if time.monotonic() - batch.oldest > PATIENCE:
                self._settler.settle(batch)
        self._settler.settle(batch)

    def _may_start(self, invocation: Invocation, seen: float | None) -> bool:
        # A kind never seen is taken to need a sixth of the time limit.
        needed = max(self._settings.worker_timeout / 6, (seen or 0) + self._margin)
        return invocation.remaining() > needed

    def _context(self, task: Task, batch: Batch) -> Context:
        remaining = batch.invocation.remaining

        def heartbeat() -> None:
            lease = remaining() + self._settings.lease_margin
            if not self._store.renew_lease(task.id, token=batch.token, lease=lease):
                raise Stopped

        return Context(
            idempotency_key=f"task-{task.id}",
            remaining=remaining,
            heartbeat=heartbeat,
            trace=batch.messages[task.id][0].trace,
        )

    def _attempt(self, task: Task, batch: Batch) -> Attempted:
        facts = batch.facts(task)
        context = self._context(task, batch)
        logger.info("task_started", extra=facts | {"queue_wait_ms": _queue_wait(task)})
        begun = time.monotonic()
        try:
            with logs.bound(**facts):
                outcome: Outcome = completed(self._run(task, context))
        except BaseException as error:  # whatever it is, its neighbours must not pay for it
            logger.info("handler_raised", extra=facts, exc_info=error)
            outcome = judge(
                error,
                attempt=task.attempts_spent,
                release_count=task.release_count,
                backoff=self._backoff,
            )
        duration = self._duration[task.kind] = time.monotonic() - begun
        return Attempted(task, outcome, duration)

    def _conclude(self, batch: Batch) -> None:
        ids, batch.fates.unsent = batch.fates.unsent, []
        if ids:
            try:
                self._store.mark_unsent(ids)
            except StoreUnavailable:
                # Not lost: without a mark the sweeper finds them when they are overdue.
                logger.warning("not_marked_unsent", extra={"tasks": len(ids)})
        batch.fates.tell()


def _queue_wait(task: Task) -> float | None:
    # From when it was due to its claim; both by the database's clock.
    if task.started_at is None:
        return None
    return logs.milliseconds((task.started_at - task.run_at).total_seconds())
