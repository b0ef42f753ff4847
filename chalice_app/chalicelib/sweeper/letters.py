"""Keeps failed tasks and dead letters the same set. The rows lead: no letter changes a row.

A letter whose task is no longer failed is deleted, and so is a second letter of one task; a task
that failed with no message in hand gets a letter. Messages that name no task are left alone.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.queue import Message, Queue
    from chalicelib.settings import Settings
    from chalicelib.store import Store

logger = logging.getLogger(__name__)

#: Letters looked at in one tick, and sent in one tick.
MOST = 1000
#: SQS asks some of its servers at a time: so many empty answers mean that there is no more.
EMPTY = 3
#: Seconds that the dead-letter queue keeps a letter.
RETENTION = 14 * 24 * 60 * 60


class Letters:
    """The scan of the dead-letter queue; it may take several ticks."""

    def __init__(self, store: Store, letters: Queue, settings: Settings) -> None:
        """Take the rooms below."""
        self._store = store
        self._letters = letters
        # A task that failed less long ago may have a message that is still on its way there.
        self._margin = 2 * settings.visibility_timeout
        # Letters stay hidden while a scan that takes several ticks goes on.
        self._hidden = 2 * settings.visibility_timeout
        # So long is a whole scan that changed nothing good for, as long as the counts stay.
        self._calm = settings.dispatch_grace_max
        self._seen: dict[int, Message] = {}
        self._unreadable: dict[str, Message] = {}
        self._changed = 0
        self._quiet = ((0, 0), -math.inf)
        self._scanned = -math.inf

    def reconcile(self, time_left: Callable[[], bool]) -> dict[str, int]:
        """Look at up to MOST letters, and return how many were sent and deleted.

        Raises StoreUnavailable and QueueUnavailable.
        """
        done = {"letters_sent": 0, "letters_deleted": 0}
        counts = (self._store.count_failed(age=RETENTION), self._letters.depth())
        if not self._is_wanted(counts):
            return done
        whole = self._scan(time_left, done)
        if whole and len(self._seen) + len(self._unreadable) >= counts[1] - done["letters_deleted"]:
            done["letters_sent"] = self._send_missing()
            self._conclude(counts, done["letters_sent"] + self._changed)
        return done

    def _is_wanted(self, counts: tuple[int, int]) -> bool:
        if self._seen or self._unreadable:
            return True  # a scan is under way
        failed, letters = counts
        if failed == letters:  # equal counts may be unequal sets: looked into now and then
            return failed > 0 and time.monotonic() > self._scanned + self._calm
        same, since = self._quiet
        return counts != same or time.monotonic() > since + self._calm

    def _scan(self, time_left: Callable[[], bool], done: dict[str, int]) -> bool:
        looked, empty = 0, 0
        while looked < MOST and empty < EMPTY and time_left():
            received = self._letters.receive_messages(hidden_for=self._hidden)
            if not received:
                empty += 1
                continue
            empty = 0
            looked += len(received)
            superfluous = list(self._superfluous(received))
            self._letters.delete(superfluous)
            done["letters_deleted"] += len(superfluous)
            self._changed += len(superfluous)
        return empty == EMPTY

    def _superfluous(self, received: list[Message]) -> Iterable[Message]:
        named = [message for message in received if message.task_id]
        self._unreadable |= {one.id: one for one in received if not one.task_id}
        failed = self._store.still_failed([message.task_id for message in named])
        for message in named:
            first = self._seen.get(message.task_id, message)
            # A letter that shows itself again, in a scan that takes long, is no second one.
            if message.task_id not in failed or message.id != first.id:
                yield message
            else:
                self._seen[message.task_id] = message

    def _send_missing(self) -> int:
        missing = self._store.failed_without_letter(
            list(self._seen), age=RETENTION, margin=self._margin, limit=MOST
        )
        self._letters.send(missing)
        return len(missing)

    def _conclude(self, counts: tuple[int, int], changed: int) -> None:
        self._letters.hide(
            (message, 0) for message in (*self._seen.values(), *self._unreadable.values())
        )
        self._scanned = time.monotonic()
        if not changed:
            self._quiet = (counts, self._scanned)
        self._seen, self._unreadable, self._changed = {}, {}, 0
