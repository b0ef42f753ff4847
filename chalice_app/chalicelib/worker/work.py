"""Claims a batch of tasks and runs their handlers, as long as there is time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chalicelib import logs
from chalicelib.errors import StoreUnavailable, UnreadableMessage
from chalicelib.fate import Fates
from chalicelib.outcome import Released
from chalicelib.queue import Message
from chalicelib.task import Status
from chalicelib.worker.batch import PATIENCE, Attempted, Batch
from chalicelib.worker.complete import Completer
from chalicelib.worker.persist import persist
from chalicelib.worker.run import Runner
from chalicelib.worker.settle import Settler
from chalicelib.worker.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.queue import TaskQueue
    from chalicelib.settings import Settings
    from chalicelib.store import Claim, Standing, Store
    from chalicelib.worker.batch import Invocation
    from chalicelib.worker.bench import Bench

logger = logging.getLogger(__name__)


class Worker:
    """Works batches; one object serves all invocations of a process."""

    def __init__(
        self,
        store: Store,
        queue: TaskQueue,
        bench: Bench,
        settings: Settings,
    ) -> None:
        """Take the rooms below, and what attempts are made with."""
        self._store = store
        self._queue = queue
        self._post = bench.post
        self._settings = settings
        self._settler = Settler(store, reserve=settings.worker_timeout / 12)
        self._runner = Runner(bench, store, settings)
        self._threads = Threads(self._runner, bench.registry, settings.worker_threads)
        self._completer = Completer(bench, self._settler, self._runner.judge, settings)

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
        if batch.callbacks:
            self._post.send_unsent(batch.callbacks)
        return batch.fates.carry_out()

    def _work(self, batch: Batch, *, alone: bool = False) -> None:
        try:
            claims = self._claim(batch, alone=alone)
        except StoreUnavailable:
            logger.warning("batch_kept", exc_info=True)
            for task_id in batch.messages:
                batch.leave(task_id)
        else:
            self._run_all(batch, claims)

    def _work_alone(self, batch: Batch, task_id: int) -> None:
        if self._runner.may_start(batch.invocation, None):
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

    def _claim(self, batch: Batch, *, alone: bool) -> list[Claim]:
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
        batch.limited |= {standing.id for standing in standings if standing.limited}
        for standing in standings:
            if standing.claim is None and not standing.apart:
                _turn_away(batch, standing)
        return [standing.claim for standing in standings if standing.claim]

    def _run_all(self, batch: Batch, claims: Sequence[Claim]) -> None:
        beside, others = self._threads.part(claims)
        begun = bool(beside)
        if beside:
            for attempted in self._threads.attempts(beside, batch):
                self._take(batch, attempted)
        for claim in [*beside, *others]:
            kind = claim.task.kind
            if begun and not self._runner.may_start(batch.invocation, kind):
                self._take(batch, Attempted(claim.task, Released(0)))
                continue
            begun = True
            if self._runner.may_take_longer(kind, PATIENCE):
                self._settle(batch)
            deadline = self._runner.deadline(claim, batch)
            self._take(batch, self._runner.attempt(claim, batch, deadline))
        self._settle(batch)

    def _take(self, batch: Batch, attempted: Attempted | None) -> None:
        if attempted is not None and attempted.powers is not None:
            self._completer.complete(batch, attempted)
            self._call_parked(batch)
            return
        if attempted is not None:
            batch.keep(attempted)
        if batch.patience_left() < 0:
            self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        self._settler.settle(batch)
        self._call_parked(batch)

    def _call_parked(self, batch: Batch) -> None:
        kinds, batch.freed = batch.freed, set()
        if kinds:
            self._post.call_parked(sorted(kinds))

    def _conclude(self, batch: Batch) -> None:
        ids, batch.fates.unsent = batch.fates.unsent, []
        if ids:
            try:
                self._store.mark_unsent(ids)
            except StoreUnavailable:
                # Not lost: without a mark the sweeper finds them when they are overdue.
                logger.warning("not_marked_unsent", extra={"tasks": len(ids)})
        batch.fates.tell()


def _turn_away(batch: Batch, standing: Standing) -> None:
    if standing.hold:
        facts = {"task_id": standing.id, "hold": standing.hold}
        logger.info("task_held", extra=facts | {"wait_ms": logs.milliseconds(standing.wait)})
    for message in batch.messages[standing.id]:
        if standing.hold == "parked":
            batch.fates.done(message)
        else:
            batch.fates.decide(message, standing.status, standing.wait)
