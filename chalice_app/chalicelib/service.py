"""What the HTTP API can do."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING, NoReturn

from chalicelib.errors import (
    EnqueueFailed,
    IllegalMove,
    InvalidRequest,
    QueueUnavailable,
    StoreUnavailable,
)
from chalicelib.queue import MAX_ID, Letter
from chalicelib.schemas import TaskPage, TaskView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.queue import TaskQueue
    from chalicelib.registry import Registry
    from chalicelib.schemas import ListQuery, NewTask
    from chalicelib.settings import Settings
    from chalicelib.store import Store
    from chalicelib.task import Task

logger = logging.getLogger(__name__)

#: A page holds no more, in bytes: a Lambda function's answer may have six million.
#: Source: AWS Lambda Developer Guide, "Lambda quotas".
MAX_PAGE_BYTES = 4 * 1024 * 1024

_CURSOR = re.compile(r"before-([0-9]{1,19})")


class TaskService:
    """Creates, shows and lists tasks. Every method may raise StoreUnavailable."""

    def __init__(
        self, store: Store, queue: TaskQueue, registry: Registry, settings: Settings
    ) -> None:
        """Take the rooms below."""
        self._store = store
        self._queue = queue
        self._registry = registry
        self._settings = settings

    def create(self, new: NewTask) -> TaskView:
        """Store the task, then hand it to the queue.

        A queue that is down does not lose it: the row says that it has no message, and the
        sweeper sends one. Raises InvalidRequest for an unknown kind, and EnqueueFailed when
        ENQUEUE_FAILURE=fail asks for that instead.
        """
        self._check_kind(new.kind)
        columns = new.model_dump(exclude={"delay_seconds"})
        task, wait = self._store.insert_task(**columns, delay=new.delay_seconds or 0)
        logger.info("task_created", extra={"task_id": task.id, "kind": task.kind})
        if wait <= self._settings.send_ahead:  # else the sweeper sends it when its time is near
            self._send(task, wait)
        return TaskView.of(task)

    def get(self, task_id: int) -> TaskView:
        """Return one task; raises TaskNotFound."""
        return TaskView.of(self._store.get_task(task_id))

    def list(self, query: ListQuery) -> TaskPage:
        """Return a page of tasks, newest first; raises InvalidRequest for a foreign cursor."""
        before = None if query.cursor is None else _read_cursor(query.cursor)
        tasks = self._store.list_tasks(before=before, limit=query.limit + 1)
        page = list(_fitting([TaskView.of(task) for task in tasks[: query.limit]]))
        more = len(tasks) > len(page)
        return TaskPage(items=page, next_cursor=_cursor(page[-1].id) if more else None)

    def cancel(self, task_id: int) -> TaskView:
        """Cancel a waiting task now, and one that is being worked as soon as its worker asks.

        Raises IllegalMove for a finished task, and TaskNotFound.
        """
        task = self._store.cancel_task(task_id) or self._refuse(task_id, "cancelled")
        logger.info("task_cancel_requested", extra={"task_id": task.id, "status": task.status})
        return TaskView.of(task)

    def retry(self, task_id: int) -> TaskView:
        """Give a failed or cancelled task new attempts; raises IllegalMove and TaskNotFound."""
        task = self._store.retry_task(task_id) or self._refuse(task_id, "tried again")
        logger.info("task_retried_by_hand", extra={"task_id": task.id})
        self._send(task, 0)
        return TaskView.of(task)

    def delete(self, task_id: int) -> None:
        """Delete a finished task; raises IllegalMove for any other, and TaskNotFound."""
        if not self._store.delete_task(task_id):
            self._refuse(task_id, "deleted")
        logger.info("task_deleted", extra={"task_id": task_id})

    def _refuse(self, task_id: int, move: str) -> NoReturn:
        status = self._store.get_task(task_id).status
        raise IllegalMove(f"Task {task_id} is {status} and cannot be {move}.", current=status)

    def _send(self, task: Task, delay: float) -> None:
        letter = Letter(id=task.id, title=task.title, description=task.description, delay=delay)
        try:
            self._queue.send([letter])
        except QueueUnavailable as error:
            self._unsent(task, error)

    def _check_kind(self, kind: str) -> None:
        if kind not in self._registry.kinds:
            known = ", ".join(sorted(self._registry.kinds))
            rule = {"pointer": "#/kind", "detail": f"is unknown; there are: {known}"}
            raise InvalidRequest.naming([rule])

    def _unsent(self, task: Task, error: QueueUnavailable) -> None:
        logger.warning("task_send_failed", extra={"task_id": task.id, "error": str(error)})
        message = f"Failed to send to SQS: {error}"
        if self._settings.enqueue_failure == "fail":
            if self._store.fail_unqueued_task(task.id, message):
                raise EnqueueFailed(message, task_id=task.id) from error
            return
        # Unmarked, the task is merely found later: its row is due for a second look anyway.
        with contextlib.suppress(StoreUnavailable):
            self._store.mark_unsent([task.id])


def _fitting(views: list[TaskView]) -> Iterator[TaskView]:
    # The first always; a client goes on at the cursor.
    total = 0
    for view in views:
        size = len(view.model_dump_json().encode())
        if total and total + size > MAX_PAGE_BYTES:
            return
        total += size
        yield view


def _cursor(task_id: int) -> str:
    return f"before-{task_id}"


def _read_cursor(cursor: str) -> int:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        rule = {"parameter": "cursor", "detail": "is not a next_cursor of this API"}
        raise InvalidRequest.naming([rule])
    return min(int(found[1]), MAX_ID)
