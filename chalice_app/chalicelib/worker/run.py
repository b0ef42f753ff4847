"""Makes one attempt: runs a handler and judges what came of it."""

from __future__ import annotations

import logging
import time
from functools import cache, partial
from typing import TYPE_CHECKING

from chalicelib import logs, moments
from chalicelib.context import Context
from chalicelib.errors import TimedOut
from chalicelib.outcome import Completed, completed, judge
from chalicelib.policy import Backoff
from chalicelib.worker.alarm import margin, time_for
from chalicelib.worker.batch import Attempted
from chalicelib.worker.powers import Powers

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.outcome import Outcome
    from chalicelib.settings import Settings
    from chalicelib.store import Claim, Store
    from chalicelib.task import Task
    from chalicelib.worker.batch import Batch, Invocation
    from chalicelib.worker.bench import Bench

logger = logging.getLogger(__name__)


class Runner:
    """Makes attempts, and remembers how long each kind took."""

    def __init__(self, bench: Bench, store: Store, settings: Settings) -> None:
        """Take what attempts are made with, and the room below."""
        self._bench = bench
        self._store = store
        self._settings = settings
        self._margin = margin(settings)
        self._usual = Backoff(base=settings.retry_delay, longest=settings.retry_delay_max)
        self._duration: dict[str, float] = {}

    def may_start(self, invocation: Invocation, kind: str | None) -> bool:
        """Tell whether a task can end in what remains of an invocation; None is any kind."""
        # A kind never seen is taken to need a sixth of the time limit.
        seen = 0.0 if kind is None else self._duration.get(kind, 0.0)
        needed = max(self._settings.worker_timeout / 6, seen + self._margin)
        return invocation.remaining() > needed

    def may_take_longer(self, kind: str, seconds: float) -> bool:
        """Tell whether a task of ``kind`` is not known to take ``seconds`` at most."""
        seen = self._duration.get(kind)
        return seen is None or seen > seconds

    def deadline(self, claim: Claim, batch: Batch) -> float:
        """Return until when an attempt that is begun now may take, on time.monotonic()'s clock."""
        timeout = self._bench.registry.policy_of(claim.task.kind).timeout
        left = batch.invocation.remaining()
        return time.monotonic() + time_for(left, self._margin, timeout)

    def attempt(self, claim: Claim, batch: Batch, deadline: float) -> Attempted:
        """Run the handler of a task that was claimed."""
        task = claim.task
        facts = batch.facts(task)
        powers = self._powers(claim, batch)
        context = self._context(claim, batch, powers, deadline)
        logger.info("task_started", extra=facts | {"queue_wait_ms": _queue_wait(task)})
        begun = time.monotonic()
        try:
            with logs.bound(**facts):
                outcome: Outcome = completed(self._bench.run(task, context))
        except BaseException as error:  # whatever it is, its neighbours must not pay for it
            logger.info("handler_raised", extra=facts, exc_info=error)
            outcome = self.judge(task, error)
        duration = self._duration[task.kind] = time.monotonic() - begun
        if powers.has_effects and isinstance(outcome, Completed):
            return Attempted(task, outcome, duration, powers)
        powers.undo()
        return Attempted(task, outcome, duration)

    def give_up(self, claim: Claim, batch: Batch, seconds: float) -> Attempted:
        """Return the end of an attempt that its thread has been making for so many seconds."""
        task = claim.task
        logger.warning("handler_goes_on", extra=batch.facts(task))
        self._duration[task.kind] = seconds
        return Attempted(task, self.judge(task, TimedOut(seconds, goes_on=True)), seconds)

    def judge(self, task: Task, error: BaseException) -> Outcome:
        """Decide what an exception means for the task whose attempt it ended."""
        return judge(
            error,
            attempt=task.attempts_spent,
            release_count=task.release_count,
            backoff=self._bench.registry.policy_of(task.kind).backoff or self._usual,
        )

    def _powers(self, claim: Claim, batch: Batch) -> Powers:
        remaining, held = batch.invocation.remaining, self._settings.lease_margin

        def renew(**kept: Any) -> bool:
            lease = remaining() + held
            return self._store.renew_lease(claim.task.id, token=batch.token, lease=lease, **kept)

        return Powers(claim, self._bench, renew, partial(self._patience, batch.invocation))

    def _patience(self, invocation: Invocation) -> float:
        return max(invocation.remaining() - self._margin / 2, 0.0)

    def _context(self, claim: Claim, batch: Batch, powers: Powers, deadline: float) -> Context[Any]:
        task = claim.task
        return Context(
            # A database that is made anew, or another stage's, has the same ids.
            idempotency_key=f"task-{task.id}-{moments.to_number(task.created_at)}",
            deadline=deadline,
            attempt=task.attempts_spent,
            tenant=claim.tenant,
            settings=self._settings,
            powers=powers,
            payload=None,
            trace=batch.messages[task.id][0].trace,
            log=_log_of(task.kind),
        )


@cache
def _log_of(kind: str) -> logging.Logger:
    # What logging remembers for ever, too; but it asks for a lock each time.
    return logging.getLogger(f"handlers.{kind}")


def _queue_wait(task: Task) -> float | None:
    # From when it was due to its claim; both by the database's clock.
    if task.started_at is None:
        return None
    return logs.milliseconds((task.started_at - task.run_at).total_seconds())
