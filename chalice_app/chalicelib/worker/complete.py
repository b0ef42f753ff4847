"""Completes an attempt together with its effects: all of them come true, or nothing does."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.store import Store
from chalicelib.worker.settle import conclude, settlement_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.outcome import Outcome
    from chalicelib.settings import Settings
    from chalicelib.store import Due, Settlement, Standing
    from chalicelib.task import Task
    from chalicelib.worker.batch import Attempted, Batch
    from chalicelib.worker.bench import Bench
    from chalicelib.worker.powers import Powers
    from chalicelib.worker.settle import Settler

logger = logging.getLogger(__name__)


class Completer:
    """Commits the transactions of attempts."""

    def __init__(
        self,
        bench: Bench,
        settler: Settler,
        judge: Callable[[Task, BaseException], Outcome],
        settings: Settings,
    ) -> None:
        """Take what settles attempts without effects, and what judges one that failed."""
        self._post = bench.post
        self._settler = settler
        self._judge = judge
        self._settings = settings

    def complete(self, batch: Batch, attempted: Attempted) -> None:
        """Write an attempt that completed, its effects and its follow-up tasks.

        When that fails, the attempt has: nobody knows whether a COMMIT without a reply was carried
        out, but the row does. If it was, writing the failure changes nothing.
        """
        powers = attempted.powers
        if powers is None:
            return
        settlement = settlement_of(batch, attempted.task, attempted.outcome)
        try:
            standing, made = self._commit(powers, settlement, batch.token)
        except Exception as error:  # psycopg2's own among them: SQL of a handler's went before
            powers.undo()
            logger.warning("effects_undone", extra=batch.facts(attempted.task), exc_info=error)
            outcome = self._judge(attempted.task, error)
            batch.attempted.append(replace(attempted, outcome=outcome, powers=None))
            self._settler.settle(batch)
            return
        conclude(batch, attempted, settlement, standing)
        for one in made:
            logger.info("task_created", extra={"task_id": one.task.id, "kind": one.task.kind})
        self._post.send_near(made)

    def _commit(
        self, powers: Powers, settlement: Settlement, token: str
    ) -> tuple[Standing, list[Due]]:
        store = Store(powers.begin().query, self._settings)
        [standing] = store.settle_attempts([settlement], token=token)
        if standing.fenced:
            powers.undo()
            return standing, []
        made = store.add_follow_ups(settlement.id, powers.follow_ups) if powers.follow_ups else []
        powers.commit()
        return standing, made
