"""The desk that serves one caller."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from chalicelib.errors import (
    EnqueueFailed,
    InvalidRequest,
    ServiceError,
    TooManyRequests,
)
from chalicelib.intake import Offer, check_new, check_offered, check_payload, stored
from chalicelib.schemas import Attempts, Batch, Created, Kinds, Retried, TaskPage, TaskView
from chalicelib.service.attempts import attempts_of
from chalicelib.service.kinds import kinds_of
from chalicelib.service.paging import page, read_cursor, write_cursor
from chalicelib.service.stats import read_stats
from chalicelib.service.waiting import wait_until
from chalicelib.task import FINAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.access import Scope
    from chalicelib.post import Post
    from chalicelib.registry import Registry
    from chalicelib.schemas import (
        ListQuery,
        NewBatch,
        NewTask,
        RetryMany,
        Stats,
        StatsQuery,
        TaskChanges,
    )
    from chalicelib.store import ClientStore, Creation, Found, Versions

logger = logging.getLogger(__name__)

NOTHING_MORE = Offer()


class TaskService:
    """What one caller can do with tasks.

    Every method may raise StoreUnavailable, Unauthorized and Forbidden.
    """

    def __init__(
        self,
        store: ClientStore,
        post: Post,
        registry: Registry,
        *,
        open_limit: int = 0,
        offer: Offer = NOTHING_MORE,
    ) -> None:
        """Take the rooms below, and how many open tasks a tenant may have (0: any number)."""
        self._store = store
        self._post = post
        self._registry = registry
        self._open_limit = open_limit
        self._offer = offer

    def create(self, new: NewTask, *, key: str | None = None, wait: float = 0) -> Created:
        """Store the task, then hand it to the queue; wait so many seconds for it to finish.

        A queue that is down does not lose it: the row says that it has no message, and the
        sweeper sends one. Raises InvalidRequest for an unknown kind, KeyReused, TooManyRequests,
        and EnqueueFailed when ENQUEUE_FAILURE=fail asks for that instead.
        """
        begun = time.monotonic()
        [made] = self._insert([new], key, one=True)
        found, waited = self._wait(made, begun + wait) if wait else (made, False)
        view = TaskView.of(found.task, found.wait)
        return Created(task=view, created=made.created, replayed=made.replayed, waited=waited)

    def create_many(self, batch: NewBatch, *, key: str | None = None) -> Batch:
        """Store all of the tasks or none, then hand them to the queue; raises as ``create``.

        A batch of more tasks than may be open is an InvalidRequest: waiting would not help it.
        """
        try:
            made = self._insert(batch.tasks, key, one=False)
        except TooManyRequests:
            self._check_size(len(batch.tasks))
            raise
        items = [TaskView.of(one.task, one.wait) for one in made]
        return Batch(items=items, replayed=any(one.replayed for one in made))

    def get(
        self, task_id: int, *, known: Sequence[datetime] | None = None, wait: float = 0
    ) -> TaskView:
        """Return one task; raises TaskNotFound.

        With ``wait``, as soon as it is finished, or is in none of the versions that are
        ``known`` (None: nothing is said of them), or so many seconds are over.
        """
        found = self._watch(task_id, wait, known)
        return TaskView.of(found.task, found.wait)

    def attempts(self, task_id: int) -> Attempts:
        """Return the attempts of a task; raises TaskNotFound."""
        return Attempts(items=attempts_of(self._store.get_attempts(task_id)))

    def find(self, query: ListQuery) -> TaskPage:
        """Return a page of tasks, newest first; raises InvalidRequest for a foreign cursor."""
        before = read_cursor("before", query.cursor, parameter="cursor")
        filters = query.model_dump(exclude={"cursor", "limit"})
        found, stopped = self._store.list_tasks(before=before, limit=query.limit + 1, **filters)
        return page(found, query.limit, stopped)

    def stats(self, query: StatsQuery) -> Stats:
        """Return how the tasks stand, and what became of them in the minutes that are asked for."""
        return read_stats(self._store, query.minutes, self._post.depths)

    def update(self, task_id: int, changes: TaskChanges, *, versions: Versions = None) -> TaskView:
        """Change a task that waits, if it still has one of the ``versions`` (None: any).

        Raises TaskChanged, IllegalMove and TaskNotFound.
        """
        columns = changes.columns()
        if "payload" in columns:
            self._check_payload(task_id, columns["payload"])
        found = self._store.update_task(task_id, columns, versions=versions)
        logger.info(
            "task_changed",
            extra={"task_id": task_id, "kind": found.task.kind, "fields": sorted(columns)},
        )
        if found.moved:
            self._post.send_near([found])
        return TaskView.of(found.task, found.wait)

    def cancel(self, task_id: int, *, versions: Versions = None) -> TaskView:
        """Cancel a waiting task now, and one that is being worked as soon as its worker asks.

        Raises TaskChanged, IllegalMove for a finished task, and TaskNotFound.
        """
        task = self._store.cancel_task(task_id, versions=versions)
        logger.info(
            "task_cancel_requested",
            extra={"task_id": task.id, "kind": task.kind, "status": task.status},
        )
        if task.callback_url is not None and task.status in FINAL:
            self._post.send_unsent(1)
        return TaskView.of(task)

    def retry(self, task_id: int, *, versions: Versions = None) -> TaskView:
        """Give a failed or cancelled task new attempts; raises as ``update`` does."""
        found = self._store.retry_task(task_id, versions=versions, attempts=self._registry.attempts)
        logger.info("task_retried_by_hand", extra={"task_id": task_id, "kind": found.task.kind})
        self._post.send([found.letter()])
        return TaskView.of(found.task)

    def retry_many(self, query: RetryMany) -> Retried:
        """Give new attempts to those that fit the filter, up to its limit, the oldest first.

        Raises InvalidRequest for a foreign cursor.
        """
        after = read_cursor("after", query.cursor, pointer="#/cursor")
        filters = query.model_dump(exclude={"cursor"})
        letters, stopped = self._store.retry_tasks(
            after=after, attempts=self._registry.attempts, **filters
        )
        logger.info("tasks_retried_by_hand", extra={"tasks": len(letters)})
        self._post.send(letters)
        ids = [letter.id for letter in letters]
        cursor = write_cursor("after", stopped)
        return Retried(ids=ids, more=cursor is not None, next_cursor=cursor)

    def delete(self, task_id: int, *, versions: Versions = None) -> None:
        """Delete a finished task; raises as ``update`` does."""
        self._store.delete_task(task_id, versions=versions)
        logger.info("task_deleted", extra={"task_id": task_id})

    def kinds(self) -> Kinds:
        """Return every kind that has a handler."""
        self._store.admit_caller("tasks:read")
        return kinds_of(self._registry)

    def _wait(self, made: Found, until: float) -> tuple[Found, bool]:
        left = until - time.monotonic()
        with contextlib.suppress(ServiceError):  # the task is there, whatever the wait meets
            return self._watch(made.task.id, left, None, scope="tasks:write"), True
        return made, False

    def _check_size(self, many: int) -> None:
        if 0 < self._open_limit < many:
            rule = f"has {many:,} tasks; at most {self._open_limit:,} may be open"
            raise InvalidRequest.naming([{"pointer": "#/tasks", "detail": rule}])

    def _check_payload(self, task_id: int, payload: Any) -> None:
        if self._registry.declares:  # else there is nothing to read the kind for
            kind = self._store.get_task(task_id, scope="tasks:write").task.kind
            if kind in self._registry.kinds:
                check_payload(self._registry, kind, payload)

    def _insert(self, tasks: Sequence[NewTask], key: str | None, *, one: bool) -> list[Creation]:
        check_new(self._registry, tasks, one=one)
        check_offered(tasks, self._offer, one=one)
        fingerprint = None if key is None else _fingerprint(tasks, one=one)
        items = [stored(self._registry, new) for new in tasks]
        made = self._store.insert_tasks(items, key=key, fingerprint=fingerprint)
        _raise_again(made)
        new = [task for task in made if task.created and not task.replayed]
        for task in new:
            logger.info("task_created", extra={"task_id": task.task.id, "kind": task.task.kind})
        self._post.send_new(new)
        return made

    def _watch(
        self,
        task_id: int,
        wait: float,
        known: Sequence[datetime] | None,
        *,
        scope: Scope = "tasks:read",
    ) -> Found:
        def done(found: Found) -> bool:
            changed = known is not None and found.task.version not in known
            return changed or found.task.status in FINAL

        return wait_until(done, lambda: self._store.get_task(task_id, scope=scope), wait)


def _fingerprint(tasks: Sequence[NewTask], *, one: bool) -> bytes:
    # Of what was read, not of the bytes: neither spaces nor the order of names make a difference.
    text = json.dumps([one, [new.columns() for new in tasks]], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _raise_again(made: Sequence[Creation]) -> None:
    # A request that was answered with an error is answered so again.
    for one in made:
        error = one.task.error or {}
        if one.replayed and error.get("code") == "enqueue_failed":
            raise EnqueueFailed(error["message"], task_id=one.task.id)
