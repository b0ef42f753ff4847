"""Writes what became of a batch's attempts, and decides their messages by the rows."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib import logs
from chalicelib.errors import StoreRejected, StoreUnavailable
from chalicelib.outcome import Failed, Released, Retry, describe
from chalicelib.store import Settlement
from chalicelib.task import FINAL, Status
from chalicelib.worker.persist import persist

if TYPE_CHECKING:
    from chalicelib.outcome import Outcome
    from chalicelib.store import Standing, Store
    from chalicelib.task import Task
    from chalicelib.worker.batch import Attempted, Batch

    Written = list[tuple[Settlement, Standing]]

logger = logging.getLogger(__name__)


class Settler:
    """Settles batches in as few statements as it may."""

    def __init__(self, store: Store, *, reserve: float) -> None:
        """Take the room below, and the seconds of an invocation kept for telling Lambda."""
        self._store = store
        self._reserve = reserve

    def settle(self, batch: Batch) -> None:
        """Write the outcomes that wait in ``batch``.

        When the database stays away they are dropped: the leases run out, and the messages,
        left alone, come back.
        """
        attempts, batch.attempted = batch.attempted, []
        if not attempts:
            return
        settlements = [settlement_of(batch, one.task, one.outcome) for one in attempts]
        try:
            written = persist(
                lambda: self._write(batch, settlements), batch.invocation, self._reserve
            )
        except StoreUnavailable:
            logger.warning("results_lost", exc_info=True, extra={"tasks": len(settlements)})
            for settlement in settlements:
                batch.leave(settlement.id)
            return
        by_id = {one.task.id: one for one in attempts}
        for settlement, standing in written:
            conclude(batch, by_id[standing.id], settlement, standing)

    def _write(self, batch: Batch, settlements: list[Settlement]) -> Written:
        try:
            standings = self._store.settle_attempts(settlements, token=batch.token)
        except StoreRejected as error:
            if len(settlements) > 1:  # one of them is to blame: each by itself
                return [row for one in settlements for row in self._write(batch, [one])]
            if isinstance(settlements[0].outcome, Failed):
                raise
            failed = Failed(describe("permanent", error))
            return self._write(batch, [replace(settlements[0], outcome=failed)])
        by_id = {standing.id: standing for standing in standings}
        return [(settlement, by_id[settlement.id]) for settlement in settlements]


def conclude(batch: Batch, one: Attempted, settlement: Settlement, standing: Standing) -> None:
    """Tell of an attempt that is written, and decide its messages."""
    _report(batch, one, settlement.outcome, standing)
    _decide(batch, settlement, standing)
    if one.task.callback_url is not None and standing.status in FINAL and not standing.fenced:
        batch.callbacks += 1
    if one.task.id in batch.limited:
        batch.freed.add(one.task.kind)


def settlement_of(batch: Batch, task: Task, outcome: Outcome) -> Settlement:
    """Return what is to be written of an attempt."""
    message = batch.messages[task.id][0]
    unsent = isinstance(outcome, Released) or (
        isinstance(outcome, Retry) and not batch.fates.can_wait(message, outcome.delay)
    )
    return Settlement(id=task.id, outcome=outcome, unsent=unsent)


def _decide(batch: Batch, settlement: Settlement, standing: Standing) -> None:
    for message in batch.messages[standing.id]:
        if settlement.unsent and standing.status is Status.RETRYING and not standing.fenced:
            batch.fates.done(message)  # the row says already that it has no message
        else:
            batch.fates.decide(message, standing.status, standing.wait)


def _report(batch: Batch, one: Attempted, outcome: Outcome, standing: Standing) -> None:
    duration = None if one.duration is None else logs.milliseconds(one.duration)
    facts = batch.facts(one.task) | {"duration_ms": duration}
    if isinstance(outcome, Retry | Failed):
        facts |= {"code": outcome.error["code"], "exception": outcome.error["class"]}
    if standing.fenced:
        logger.warning("task_fenced", extra=facts)
    elif standing.status is Status.COMPLETED:
        logger.info("task_completed", extra=facts)
    elif standing.status is Status.FAILED:
        logger.warning("task_failed", extra=facts)
    elif standing.status is Status.CANCELLED:
        logger.info("task_cancelled", extra=facts)
    elif isinstance(outcome, Released):
        logger.info("task_released", extra=facts | {"wait_ms": logs.milliseconds(standing.wait)})
    else:
        logger.info("task_retrying", extra=facts | {"wait_ms": logs.milliseconds(standing.wait)})
