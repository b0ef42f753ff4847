"""Hands stored tasks to the queue, and tells how full it is."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from chalicelib.errors import EnqueueFailed, QueueUnavailable, StoreUnavailable
from chalicelib.schemas import Depths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.queue import Letter, TaskQueue
    from chalicelib.settings import Settings
    from chalicelib.store import Due, Found, Store

logger = logging.getLogger(__name__)

#: Parked tasks that are sent at once; the sweeper sends the rest.
MOST_CALLED = 100


class Post:
    """Sends messages; those of tasks that SQS did not accept are left to the sweeper."""

    def __init__(self, store: Store, queue: TaskQueue, settings: Settings) -> None:
        """Take the rooms below."""
        self._store = store
        self._queue = queue
        self._settings = settings

    def send_new(self, found: Sequence[Found]) -> None:
        """Send what is due before long; the rest is sent by the sweeper when its time is near.

        Raises EnqueueFailed when SQS cannot be reached and ENQUEUE_FAILURE=fail asks to say so.
        """
        try:
            self._queue.send(self._near(found))
        except QueueUnavailable as error:
            if self._settings.enqueue_failure == "fail":
                self._fail(error, {one.task.id: one.task.kind for one in found})
            else:
                self._mark(error)

    def send_near(self, found: Sequence[Due]) -> None:
        """Send what is due before long, of tasks that were stored before."""
        self.send(self._near(found))

    def send(self, letters: Sequence[Letter]) -> None:
        """Send these, of tasks that were stored before."""
        try:
            self._queue.send(letters)
        except QueueUnavailable as error:
            self._mark(error)

    def send_unsent(self, limit: int) -> None:
        """Send up to so many that are known to have no message, as the sweeper will otherwise."""
        with contextlib.suppress(StoreUnavailable):
            self.send(self._store.dispatch_tasks(unsent=True, limit=limit))

    def call_parked(self, kinds: Sequence[str]) -> None:
        """Send parked tasks of these kinds that have room, as the sweeper will otherwise."""
        with contextlib.suppress(StoreUnavailable):
            self.send(self._store.call_parked(kinds, limit=MOST_CALLED))

    def depths(self) -> Depths:
        """Return about how many messages there are; null where SQS does not tell."""
        try:
            tasks = self._queue.depth()
            return Depths(tasks=tasks, dead_letters=self._queue.letters.depth())
        except QueueUnavailable as error:
            logger.warning("queue_depth_unknown", exc_info=error)
            return Depths(tasks=None, dead_letters=None)

    def _near(self, found: Sequence[Due]) -> list[Letter]:
        return [one.letter() for one in found if one.wait <= self._settings.send_ahead]

    def _fail(self, error: QueueUnavailable, kinds: dict[int, str]) -> None:
        message = f"Failed to send to SQS: {error}"
        unsent = error.context["unsent"]
        failed = [one for one in unsent if self._store.fail_unqueued_task(one, message)]
        for task_id in failed:
            facts = {"task_id": task_id, "kind": kinds[task_id], "code": "enqueue_failed"}
            logger.warning("task_failed", extra=facts)
        if failed:
            raise EnqueueFailed(message, task_id=failed[0]) from error

    def _mark(self, error: QueueUnavailable) -> None:
        unsent = error.context["unsent"]
        facts = {"task_ids": unsent[:10], "tasks": len(unsent)}
        logger.warning("task_send_failed", exc_info=error, extra=facts)
        # Unmarked, a task is merely found later: its row is due for a second look anyway.
        with contextlib.suppress(StoreUnavailable):
            self._store.mark_unsent(unsent)
