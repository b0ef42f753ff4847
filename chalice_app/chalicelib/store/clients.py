"""The statements of a client; each carries the client's key and sees its tenant's tasks alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import IllegalMove, TaskChanged, TaskNotFound
from chalicelib.queue import Letter
from chalicelib.store.refusals import refusal
from chalicelib.task import Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.access import Caller
    from chalicelib.db import Rows
    from chalicelib.settings import Settings

RETRIED = "tried again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A task, and the time in seconds until it is due (below zero: since)."""

    task: Task
    wait: float
    moved: bool = False  #: whether a change gave it another time

    def letter(self) -> Letter:
        """Return its message."""
        delay = max(0.0, self.wait)
        title, description = self.task.title, self.task.description
        return Letter(id=self.task.id, title=title, description=description, delay=delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation(Found):
    """A task that was asked for.

    ``created`` is False where it was there: its unique key was taken. ``replayed`` says that the
    request had been answered before; ``created``, what it was answered then.
    """

    created: bool
    replayed: bool


class ClientStore:
    """The tasks of one tenant.

    Every method may raise StoreUnavailable, Unauthorized, and Forbidden for a scope that the key
    does not have.
    """

    def __init__(self, query: Callable[..., Rows], settings: Settings, caller: Caller) -> None:
        """Take what runs a named statement, the protocol's times, and who asks."""
        self._run = query
        self._settings = settings
        self._caller = caller

    def insert_tasks(
        self,
        items: Sequence[dict[str, Any]],
        *,
        key: str | None = None,
        fingerprint: bytes | None = None,
    ) -> list[Creation]:
        """Store new tasks, all or none, and return one for each item, in their order.

        The items hold JSON values: kind, title, and where given description, payload, run_at or
        delay (seconds), expires_at, tags, unique_key and unique_scope. ``key`` and
        ``fingerprint`` are the request's Idempotency-Key and what it asked for. Raises
        KeyReused, TooManyRequests, TaskNotFound if a task that the request made once is gone,
        and StoreRejected for what PostgreSQL cannot keep.
        """
        rows = self._query(
            "insert_tasks",
            items=json.dumps(items, ensure_ascii=False),
            key=key,
            fingerprint=fingerprint,
            attempt_limit=self._settings.attempt_limit,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
            rate=self._settings.rate_limit,
            burst=self._settings.rate_burst,
            open_limit=self._settings.open_limit,
        )
        if any(row["id"] is None for row in rows):
            raise TaskNotFound("The task that was created with this Idempotency-Key is deleted.")
        return [
            Creation(
                task=Task.from_row(row),
                wait=row["wait"],
                created=row["created"],
                replayed=row["replayed"],
            )
            for row in rows
        ]

    def get_task(self, task_id: int) -> Found:
        """Return one task; raises TaskNotFound."""
        return _found(self._query("get_task", id=task_id), task_id)

    def get_attempts(self, task_id: int) -> dict[str, Any]:
        """Return the columns that tell of a task's attempts; raises TaskNotFound."""
        [row] = self._query("get_attempts", id=task_id)
        if row["id"] is None:
            raise _absent(task_id)
        return row

    def list_tasks(
        self, *, before: tuple[datetime, int] | None, limit: int, **filters: Any
    ) -> list[Found]:
        """Return up to ``limit`` tasks, newest first, after the one that ``before`` names.

        It does so by the task's time of creation and id. ``filters``: status, kind, tag,
        created_after, created_before, text; None is any.
        """
        at, number = before or (None, None)
        rows = self._query("list_tasks", before=at, before_id=number, limit=limit, **filters)
        return [_one(row) for row in rows if row["id"] is not None]

    def read_stats(self, *, minutes: int, most: int, sample: int) -> dict[str, Any]:
        """Return how the tasks stand now, and what became of them in the last ``minutes``.

        ``most`` bounds every count, ``sample`` the finished tasks that are timed. ``operator``
        tells whether the caller may know of the whole service. Times are in seconds.
        """
        bounds = {"minutes": minutes, "most": most, "sample": sample}
        [row] = self._query("read_stats", **bounds, statuses=[*map(str, Status)])
        return row

    def update_task(
        self, task_id: int, changes: dict[str, Any], *, versions: Sequence[datetime] | None
    ) -> Found:
        """Change a waiting task, if it still has one of the ``versions`` (None: any).

        Raises TaskChanged, IllegalMove and TaskNotFound.
        """
        rows = self._query(
            "update_task",
            id=task_id,
            changes=json.dumps(changes, ensure_ascii=False),
            versions=None if versions is None else list(versions),
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        if rows[0]["obstacle"] == "stale":
            raise TaskChanged(f"Task {task_id} has changed since; read it again.")
        return _moved(rows, task_id, "changed")

    def cancel_task(self, task_id: int) -> Task:
        """Cancel a waiting task, or ask its worker to; raises IllegalMove and TaskNotFound."""
        return _moved(self._query("cancel_task", id=task_id), task_id, "cancelled").task

    def retry_task(self, task_id: int) -> Found:
        """Give a failed or cancelled task new attempts; raises IllegalMove and TaskNotFound."""
        more, grace = self._settings.attempt_limit, self._settings.dispatch_grace
        rows = self._query("retry_task", id=task_id, more=more, grace=grace)
        return _moved(rows, task_id, RETRIED)

    def retry_tasks(self, *, limit: int, **filters: Any) -> tuple[list[Letter], bool]:
        """Do so with up to ``limit`` tasks, oldest first.

        Returns their messages, and whether there may be more. ``filters``: status, kind, tag,
        created_after, created_before, text.
        """
        more, grace = self._settings.attempt_limit, self._settings.dispatch_grace
        rows = self._query("retry_tasks", limit=limit, more=more, grace=grace, **filters)
        letters = [
            Letter(id=row["id"], title=row["title"], description=row["description"])
            for row in rows
            if row["id"] is not None
        ]
        return letters, rows[0]["more"]

    def delete_task(self, task_id: int) -> None:
        """Delete a finished task; raises IllegalMove and TaskNotFound."""
        [row] = self._query("delete_task", id=task_id)
        if row["id"] is None:
            raise _refused(row["current"], task_id, "deleted")

    def _query(self, name: str, **arguments: Any) -> Rows:
        rows = self._run(name, **arguments, **self._caller.proof())
        if rows[0]["refusal"] is not None:
            raise refusal(rows[0], self._settings)
        return rows


def _one(row: dict[str, Any]) -> Found:
    return Found(task=Task.from_row(row), wait=row["wait"], moved=row.get("moved", False))


def _found(rows: Rows, task_id: int) -> Found:
    if rows[0]["id"] is None:
        raise _absent(task_id)
    return _one(rows[0])


def _moved(rows: Rows, task_id: int, move: str) -> Found:
    if rows[0]["id"] is None:
        raise _refused(rows[0]["current"], task_id, move)
    return _one(rows[0])


def _refused(current: str | None, task_id: int, move: str) -> Exception:
    if current is None:
        return _absent(task_id)
    if move == RETRIED and current in {Status.FAILED, Status.CANCELLED}:
        return IllegalMove(f"Another task has task {task_id}'s unique key.", current=current)
    return IllegalMove(f"Task {task_id} is {current} and cannot be {move}.", current=current)


def _absent(task_id: int) -> TaskNotFound:
    return TaskNotFound(f"There is no task {task_id}.")
