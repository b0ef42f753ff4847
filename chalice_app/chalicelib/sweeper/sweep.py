"""One tick of the sweeper."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from chalicelib import logs
from chalicelib.errors import QueueUnavailable
from chalicelib.sweeper.letters import Letters

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.queue import Letter, TaskQueue
    from chalicelib.settings import Settings
    from chalicelib.store import Store
    from chalicelib.sweeper.schedules import Schedules

logger = logging.getLogger(__name__)

#: Rows one statement takes, to rescue or to send; tasks that one tick makes of schedules at most,
#: and as many messages that it sends besides.
CHUNK = 500
SEND_CHUNK = 100
MOST_SENT = 5000
PURGE_CHUNK = 1000
#: Seconds that an Idempotency-Key is remembered at least.
KEY_AGE = 24 * 60 * 60
#: Seconds of the invocation that are left unused.
RESERVE = 5.0


class Sweeper:
    """The net below everything else; two of them at once are harmless."""

    def __init__(
        self, store: Store, queue: TaskQueue, schedules: Schedules, settings: Settings
    ) -> None:
        """Take the rooms below."""
        self._store = store
        self._queue = queue
        self._schedules = schedules
        self._letters = Letters(store, queue.letters, settings)

    def sweep(self, remaining: Callable[[], float], *, queue_lost: bool = False) -> dict[str, int]:
        """Do one tick within ``remaining()`` seconds and return what was done, counted.

        ``queue_lost`` says that the queue forgot everything: every waiting task is sent again.
        Raises StoreUnavailable; when SQS is away, the rest of the sending waits for the next tick.
        """
        begun = time.monotonic()
        if queue_lost:
            self._store.mark_unsent(None)

        def time_left() -> bool:
            return remaining() > RESERVE

        done = {
            "rescued": _in_chunks(self._rescue, CHUNK, time_left),
            "expired": _in_chunks(self._expire, CHUNK, time_left),
        }
        new = self._fire(time_left)
        done |= {"fired": len(new), "called": 0, "sent": 0, "sent_again": 0}
        done |= {"letters_sent": 0, "letters_deleted": 0, "purged": 0}
        try:
            if new:
                self._hand_over(new)
            self._send_all(done, time_left)
            done |= self._letters.reconcile(time_left)
        except QueueUnavailable as error:
            logger.warning("sweep_without_queue", exc_info=error)
        done["purged"] = _in_chunks(self._purge, PURGE_CHUNK, time_left)
        _in_chunks(self._forget, PURGE_CHUNK, time_left)
        _in_chunks(self._forget_limits, PURGE_CHUNK, time_left)
        lag = round(self._store.read_outbox_lag(), 1)
        duration = logs.milliseconds(time.monotonic() - begun)
        told = {**done, "outbox_lag_s": lag, "duration_ms": duration}
        logger.info("sweep_finished", extra=told)
        return done

    def _rescue(self) -> int:
        return len(self._store.rescue_tasks(limit=CHUNK))

    def _expire(self) -> int:
        return len(self._store.expire_tasks(limit=CHUNK))

    def _purge(self) -> int:
        return self._store.purge_tasks(limit=PURGE_CHUNK)

    def _forget(self) -> int:
        return self._store.purge_idempotency_keys(age=KEY_AGE, limit=PURGE_CHUNK)

    def _forget_limits(self) -> int:
        return self._store.purge_limits(limit=PURGE_CHUNK)

    def _deficit(self) -> int:
        # Messages that ought to be on the queue and are not; a long backlog has no deficit, so
        # tasks that merely wait their turn are not sent again and again.
        due, unfinished = self._store.count_presumed()
        return max(0, min(due, unfinished - self._queue.depth())) if due else 0

    def _fire(self, time_left: Callable[[], bool]) -> list[Letter]:
        new: list[Letter] = []
        for made in self._schedules.fire(lambda: time_left() and len(new) < MOST_SENT):
            new.extend(one.letter() for one in made)
        return new

    def _send_all(self, done: dict[str, int], time_left: Callable[[], bool]) -> None:
        # A line of a million that is let go on leaves half of what is sent to all others.
        call = partial(self._store.call_parked, None)
        done["called"] = self._send(call, MOST_SENT // 2, time_left)
        most = MOST_SENT - done["called"]
        unsent = partial(self._store.dispatch_tasks, unsent=True)
        done["sent"] = self._send(unsent, most, time_left)
        most -= done["sent"]
        again = partial(self._store.dispatch_tasks, unsent=False)
        done["sent_again"] = self._send(again, min(most, self._deficit()), time_left)
        done["called"] += self._send(call, most - done["sent_again"], time_left)

    def _send(
        self, take: Callable[..., list[Letter]], most: int, time_left: Callable[[], bool]
    ) -> int:
        total = 0
        while total < most and time_left():
            limit = min(SEND_CHUNK, most - total)
            letters = take(limit=limit)
            if letters:
                self._hand_over(letters)
            total += len(letters)
            if len(letters) < limit:
                break
        return total

    def _hand_over(self, letters: list[Letter]) -> None:
        try:
            self._queue.send(letters)
        except QueueUnavailable as error:
            self._store.mark_unsent(error.context["unsent"])
            raise
        for letter in letters:
            logger.info("task_resent", extra={"task_id": letter.id})


def _in_chunks(take: Callable[[], int], size: int, time_left: Callable[[], bool]) -> int:
    # As long as ``take`` finds a whole chunk there may be more.
    total = 0
    while time_left():
        taken = take()
        total += taken
        if taken < size:
            break
    return total
