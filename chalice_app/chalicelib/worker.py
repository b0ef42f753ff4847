"""What happens to one batch of messages.

claim   one statement takes the tasks that may be worked now and says how the others stand
run     one handler after the other, as long as there is time; an outcome for each
settle  one statement, as rarely as the waiting allows, writes what became of them
answer  every message is deleted, or kept and seen again when its task is due
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chalicelib.errors import StoreRejected, StoreUnavailable, UnreadableMessage
from chalicelib.fate import Fates
from chalicelib.outcome import Backoff, Failed, Released, Retry, completed, describe, judge
from chalicelib.queue import Message
from chalicelib.registry import Context
from chalicelib.store import Settlement
from chalicelib.task import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.outcome import Outcome
    from chalicelib.queue import TaskQueue
    from chalicelib.settings import Settings
    from chalicelib.store import Standing, Store
    from chalicelib.task import Task

logger = logging.getLogger(__name__)

#: A result waits this long, in seconds, for others to be settled in the same statement.
PATIENCE = 0.2
#: Waits, in seconds, between tries to settle while the database is away.
PERSISTENCE = (0.1, 0.4, 1.5, 3.0)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the worker: its id, and what tells the seconds that remain of it."""

    request_id: str
    remaining: Callable[[], float]


@dataclass(slots=True, kw_only=True)
class Batch:
    """The state of one invocation: messages by task, their fates, outcomes not yet settled."""

    invocation: Invocation
    fates: Fates
    messages: dict[int, list[Message]] = field(default_factory=dict)
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcomes: list[tuple[Task, Outcome]] = field(default_factory=list)
    oldest: float = 0.0


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
        self._settings = settings
        self._backoff = Backoff(base=settings.retry_delay, longest=settings.retry_delay_max)
        self._duration: dict[str, float] = {}

    def work(self, records: Iterable[dict[str, Any]], invocation: Invocation) -> dict[str, Any]:
        """Work the records of one Lambda event and return what Lambda is to be told.

        Raises BatchPartiallyFailed, see Fates.
        """
        batch = Batch(invocation=invocation, fates=Fates(self._queue, self._settings))
        self._read(batch, records)
        try:
            tasks = self._claim(batch)
        except StoreUnavailable:
            logger.warning("batch_kept", exc_info=True)
            for messages in batch.messages.values():
                for message in messages:
                    batch.fates.leave(message)
        else:
            self._run_all(batch, tasks)
            self._mark_unsent(batch.fates.unsent)
        return batch.fates.carry_out()

    def _read(self, batch: Batch, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            try:
                message = Message.from_record(record)
                batch.messages.setdefault(message.task_id, []).append(message)
            except UnreadableMessage:
                logger.warning("message_unreadable", extra={"message_id": record["messageId"]})
                batch.fates.dead(Message.from_record(record, readable=False))

    def _claim(self, batch: Batch) -> list[Task]:
        if not batch.messages:
            return []
        standings = self._store.claim_tasks(
            [messages[0] for messages in batch.messages.values()],
            token=batch.token,
            lease=batch.invocation.remaining() + self._settings.lease_margin,
            request_id=batch.invocation.request_id,
        )
        for standing in standings:
            if standing.task is None:
                for message in batch.messages[standing.id]:
                    batch.fates.decide(message, standing.status, standing.wait)
        return [standing.task for standing in standings if standing.task]

    def _run_all(self, batch: Batch, tasks: Sequence[Task]) -> None:
        for number, task in enumerate(tasks):
            seen = self._duration.get(task.kind)
            if number and not self._may_start(batch.invocation, seen):
                outcome: Outcome = Released(0)
            else:
                if seen is None or seen > PATIENCE:
                    self._settle(batch)
                outcome = self._attempt(task, batch.invocation)
            if not batch.outcomes:
                batch.oldest = time.monotonic()
            batch.outcomes.append((task, outcome))
            if time.monotonic() - batch.oldest > PATIENCE:
                self._settle(batch)
        self._settle(batch)

    def _may_start(self, invocation: Invocation, seen: float | None) -> bool:
        # A kind never seen is taken to need a sixth of the time limit.
        return invocation.remaining() > max(self._settings.worker_timeout / 6, seen or 0)

    def _attempt(self, task: Task, invocation: Invocation) -> Outcome:
        facts = {"task_id": task.id, "kind": task.kind, "attempt": task.attempts_spent}
        context = Context(idempotency_key=f"task-{task.id}", remaining=invocation.remaining)
        logger.info("task_started", extra=facts)
        begun = time.monotonic()
        try:
            outcome: Outcome = completed(self._run(task, context))
        except (Exception, SystemExit) as error:
            logger.info("handler_raised", extra=facts, exc_info=error)
            outcome = judge(
                error,
                attempt=task.attempts_spent,
                release_count=task.release_count,
                backoff=self._backoff,
            )
        self._duration[task.kind] = time.monotonic() - begun
        return outcome

    def _settle(self, batch: Batch) -> None:
        outcomes, batch.outcomes = batch.outcomes, []
        if not outcomes:
            return
        settlements = [self._settlement(batch, task, outcome) for task, outcome in outcomes]
        try:
            standings = self._persist(batch, settlements)
        except StoreUnavailable:
            logger.warning("results_lost", exc_info=True, extra={"tasks": len(settlements)})
            for settlement in settlements:
                for message in batch.messages[settlement.id]:
                    batch.fates.leave(message)
            return
        by_id = {standing.id: standing for standing in standings}
        for (task, outcome), settlement in zip(outcomes, settlements, strict=True):
            self._conclude(batch, task, outcome, settlement, by_id[task.id])

    def _settlement(self, batch: Batch, task: Task, outcome: Outcome) -> Settlement:
        message = batch.messages[task.id][0]
        unsent = isinstance(outcome, Released) or (
            isinstance(outcome, Retry) and not batch.fates.can_wait(message, outcome.delay)
        )
        return Settlement(id=task.id, outcome=outcome, unsent=unsent)

    def _persist(self, batch: Batch, settlements: list[Settlement]) -> list[Standing]:
        for wait in PERSISTENCE:
            try:
                return self._write(batch, settlements)
            except StoreUnavailable:
                if batch.invocation.remaining() < wait + 5:
                    raise
                time.sleep(wait)
        return self._write(batch, settlements)

    def _write(self, batch: Batch, settlements: list[Settlement]) -> list[Standing]:
        try:
            return self._store.settle_attempts(settlements, token=batch.token)
        except StoreRejected as error:
            if len(settlements) == 1:
                outcome = Failed(describe("permanent", error))
                return self._write(batch, [replace(settlements[0], outcome=outcome)])
            return [row for one in settlements for row in self._write(batch, [one])]

    def _conclude(
        self,
        batch: Batch,
        task: Task,
        outcome: Outcome,
        settlement: Settlement,
        standing: Standing,
    ) -> None:
        _report(task, outcome, standing)
        for message in batch.messages[task.id]:
            if settlement.unsent and standing.status is Status.RETRYING and not standing.fenced:
                batch.fates.done(message)
            else:
                batch.fates.decide(message, standing.status, standing.wait)

    def _mark_unsent(self, ids: list[int]) -> None:
        if not ids:
            return
        try:
            self._store.mark_unsent(ids)
        except StoreUnavailable:
            # Not lost: without a mark the sweeper finds them when they are overdue.
            logger.warning("not_marked_unsent", extra={"tasks": len(ids)})


def _report(task: Task, outcome: Outcome, standing: Standing) -> None:
    facts: dict[str, Any] = {
        "task_id": task.id,
        "kind": task.kind,
        "attempt": task.attempts_spent,
    }
    if isinstance(outcome, Retry | Failed):
        facts |= {"code": outcome.error["code"], "error": outcome.error["class"]}
    if standing.fenced:
        logger.warning("task_fenced", extra=facts)
    elif isinstance(outcome, Released) and standing.status is Status.RETRYING:
        logger.info("task_released", extra=facts | {"delay_s": outcome.delay})
    elif standing.status is Status.RETRYING:
        logger.info("task_retrying", extra=facts | {"delay_s": round(standing.wait, 1)})
    else:
        logger.info("task_%s", standing.status, extra=facts)
