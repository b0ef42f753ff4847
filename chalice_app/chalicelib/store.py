"""Tasks in PostgreSQL: one method is one statement of sql/queries.sql, under the same name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.errors import TaskNotFound
from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.queue import Letter
from chalicelib.strict_json import encode
from chalicelib.task import Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.db import Rows
    from chalicelib.queue import Message
    from chalicelib.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a task stands after a statement about it.

    ``status`` is None when there is no such task. ``wait`` is the time in seconds until its
    lease ends (processing) or it is due. ``task`` is there when the claim took it. ``fenced``
    means that somebody newer holds or finished it, so what was written was dropped. ``apart``
    means that it is a suspect and waits to be claimed alone.
    """

    id: int
    status: Status | None
    wait: float
    task: Task | None = None
    fenced: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of one attempt; ``unsent`` says that no message will be left for the task."""

    id: int
    outcome: Outcome
    unsent: bool


class Store:
    """The table ``tasks``. Every method may raise StoreUnavailable."""

    def __init__(self, query: Callable[..., Rows], settings: Settings) -> None:
        """Take what runs a named statement, and the protocol's times."""
        self._query = query
        self._settings = settings

    def insert_task(self, *, payload: Any, **columns: Any) -> tuple[Task, float]:
        """Store a new task and return it, with the time in seconds until it is due.

        ``columns`` are kind, title, description, run_at or delay (seconds), and expires_at.
        Raises StoreRejected for what PostgreSQL cannot keep.
        """
        [row] = self._query(
            "insert_task",
            **columns,
            payload=None if payload is None else encode(payload),
            attempt_limit=self._settings.attempt_limit,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return Task.from_row(row), row["wait"]

    def get_task(self, task_id: int) -> Task:
        """Return one task; raises TaskNotFound."""
        for row in self._query("get_task", id=task_id):
            return Task.from_row(row)
        raise TaskNotFound(f"There is no task {task_id}.")

    def list_tasks(self, *, before: int | None, limit: int) -> list[Task]:
        """Return up to ``limit`` tasks, newest first, older than the id ``before``."""
        return [Task.from_row(row) for row in self._query("list_tasks", before=before, limit=limit)]

    def cancel_task(self, task_id: int) -> Task | None:
        """Cancel a waiting task, or ask its worker to; None if it is finished or absent."""
        return _only(self._query("cancel_task", id=task_id))

    def retry_task(self, task_id: int) -> Task | None:
        """Give a failed or cancelled task new attempts; None if it is neither, or absent."""
        more, grace = self._settings.attempt_limit, self._settings.dispatch_grace
        return _only(self._query("retry_task", id=task_id, more=more, grace=grace))

    def delete_task(self, task_id: int) -> bool:
        """Delete a finished task; False if it is not finished, or absent."""
        return bool(self._query("delete_task", id=task_id))

    def fail_unqueued_task(self, task_id: int, message: str) -> bool:
        """Fail a task whose message could not be sent, unless a worker has begun it after all."""
        return bool(self._query("fail_unqueued_task", id=task_id, message=message))

    def mark_unsent(self, ids: Sequence[int] | None) -> None:
        """Note that these tasks (None: all that are waiting) have no message on the queue."""
        ids = None if ids is None else list(ids)
        self._query("mark_unsent", ids=ids, ahead=self._settings.send_ahead)

    def claim_tasks(
        self,
        messages: Sequence[Message],
        *,
        token: str,
        lease: float,
        request_id: str,
        alone: bool = False,
    ) -> list[Standing]:
        """Claim the tasks that ``messages`` name (no id twice) for ``lease`` seconds.

        ``alone`` says that there is one message and nothing else in hand: suspects may come.
        """
        rows = self._query(
            "claim_tasks",
            ids=[message.task_id for message in messages],
            message_ids=[message.id for message in messages],
            receive_counts=[message.receive_count for message in messages],
            trace_ids=[message.trace_id for message in messages],
            token=token,
            lease=lease,
            request_id=request_id,
            alone=alone,
            grace=self._settings.dispatch_grace,
        )
        return [_standing(row, Task.from_row(row) if row["claimed"] else None) for row in rows]

    def settle_attempts(self, settlements: Sequence[Settlement], *, token: str) -> list[Standing]:
        """Write what became of attempts held under ``token``; raises StoreRejected."""
        columns = [_columns(settlement) for settlement in settlements]
        rows = self._query(
            "settle_attempts",
            ids=[settlement.id for settlement in settlements],
            outcomes=[column["outcome"] for column in columns],
            results=[column["result"] for column in columns],
            errors=[column["error"] for column in columns],
            delays=[column["delay"] for column in columns],
            unsent=[settlement.unsent for settlement in settlements],
            token=token,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return [_standing(row, None) for row in rows]

    def renew_lease(self, task_id: int, *, token: str, lease: float) -> bool:
        """Hold on to a task for ``lease`` seconds more; False says to stop working on it."""
        return bool(self._query("renew_lease", id=task_id, token=token, lease=lease))

    def rescue_tasks(self, *, limit: int) -> list[Standing]:
        """End attempts whose lease ran out, and say how their tasks stand now."""
        rows = self._query("rescue_tasks", limit=limit)
        return [Standing(id=row["id"], status=Status(row["status"]), wait=0) for row in rows]

    def dispatch_tasks(self, *, unsent: bool, limit: int) -> list[Letter]:
        """Mark tasks as sent and return their messages: those known to have none, or presumed."""
        rows = self._query(
            "dispatch_tasks",
            unsent=unsent,
            limit=limit,
            ahead=self._settings.send_ahead,
            grace=self._settings.dispatch_grace,
            grace_max=self._settings.dispatch_grace_max,
        )
        return [Letter(**row) for row in rows]

    def count_presumed(self) -> tuple[int, int]:
        """Return how many tasks are due to be sent again, and how many should have a message."""
        [row] = self._query("count_presumed", ahead=self._settings.send_ahead)
        return row["due"], row["open"]

    def expire_tasks(self, *, limit: int) -> list[int]:
        """Fail waiting tasks that were not begun in time and return their ids."""
        return [row["id"] for row in self._query("expire_tasks", limit=limit)]

    def count_failed(self, *, age: float) -> int:
        """Count the tasks that failed less than ``age`` seconds ago."""
        return int(self._query("count_failed", age=age)[0]["failed"])

    def still_failed(self, ids: Sequence[int]) -> set[int]:
        """Return those of ``ids`` whose task is failed."""
        return {row["id"] for row in self._query("still_failed", ids=list(ids))}

    def failed_without_letter(
        self, ids: Sequence[int], *, age: float, margin: float, limit: int
    ) -> list[Letter]:
        """Return letters of failed tasks other than ``ids``.

        They failed less than ``age`` and more than ``margin`` seconds ago.
        """
        rows = self._query(
            "failed_without_letter", ids=list(ids), age=age, margin=margin, limit=limit
        )
        return [Letter(**row) for row in rows]

    def purge_tasks(self, *, limit: int) -> int:
        """Delete up to ``limit`` tasks that finished before the retention; return how many."""
        retention = self._settings.retention_days * 24 * 60 * 60
        return len(self._query("purge_tasks", retention=retention, limit=limit))

    def read_schema_version(self) -> int:
        """Return the number of the newest migration that was applied (0: none)."""
        return int(self._query("read_schema_version")[0]["version"])


def _standing(row: dict[str, Any], task: Task | None) -> Standing:
    return Standing(
        id=row["id"],
        status=None if row["status"] is None else Status(row["status"]),
        wait=row["wait"],
        task=task,
        fenced=row.get("fenced", False),
        apart=row.get("apart", False),
    )


def _only(rows: Rows) -> Task | None:
    return Task.from_row(rows[0]) if rows else None


def _columns(settlement: Settlement) -> dict[str, Any]:
    columns: dict[str, Any] = {"result": None, "error": None, "delay": 0.0}
    match settlement.outcome:
        case Completed(result):
            return columns | {"outcome": "completed", "result": result}
        case Failed(error):
            return columns | {"outcome": "failed"} | _failure(error)
        case Retry(delay, error):
            return columns | {"outcome": "retry", "delay": delay} | _failure(error)
        case Released(delay):
            spent = {"code": "attempts_exhausted", "message": "The task was put off too often."}
            return columns | {"outcome": "release", "delay": delay} | _failure(spent)
        case _:
            assert_never(settlement.outcome)


def _failure(error: dict[str, Any]) -> dict[str, str]:
    return {"error": encode(error), "result": encode(f"Error: {error['message']}")}
