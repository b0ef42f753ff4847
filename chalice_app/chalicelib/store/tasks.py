"""The statements of the worker and the sweeper."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chalicelib.db import array
from chalicelib.queue import Letter
from chalicelib.store.ended import tell_of_ended
from chalicelib.store.rows import Due, Settlement, Standing, claimed, follow_up, settled, standing
from chalicelib.task import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.db import Rows
    from chalicelib.queue import Message
    from chalicelib.settings import Settings


class Store:
    """Tasks of every tenant. Every method may raise StoreUnavailable."""

    def __init__(self, query: Callable[..., Rows], settings: Settings) -> None:
        """Take what runs a named statement, and the protocol's times."""
        self._query = query
        self._settings = settings

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
            ids=array(message.task_id for message in messages),
            message_ids=array(message.id for message in messages),
            receive_counts=array(message.receive_count for message in messages),
            trace_ids=array(message.trace_id for message in messages),
            token=token,
            lease=lease,
            request_id=request_id,
            alone=alone,
            grace=self._settings.dispatch_grace,
        )
        tell_of_ended(rows)
        return [standing(row, claimed(row)) for row in rows]

    def settle_attempts(self, settlements: Sequence[Settlement], *, token: str) -> list[Standing]:
        """Write what became of attempts held under ``token``; raises StoreRejected."""
        ends = [settled(settlement) for settlement in settlements]
        rows = self._query(
            "settle_attempts",
            ids=array(settlement.id for settlement in settlements),
            outcomes=array(end.outcome for end in ends),
            results=array(end.result for end in ends),
            errors=array(end.error for end in ends),
            delays=array(end.delay for end in ends),
            unsent=array(settlement.unsent for settlement in settlements),
            token=token,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return [standing(row) for row in rows]

    def renew_lease(
        self,
        task_id: int,
        *,
        token: str,
        lease: float,
        progress: str | None = None,
        step: str | None = None,
    ) -> bool:
        """Hold on to a task for ``lease`` seconds more; False says to stop working on it.

        ``progress`` and ``step`` are JSON texts to keep: how far it is, and a step with its value.
        """
        kept = {"progress": progress, "step": step}
        return bool(self._query("renew_lease", id=task_id, token=token, lease=lease, **kept))

    def add_follow_ups(self, task_id: int, items: Sequence[dict[str, Any]]) -> list[Due]:
        """Store the tasks that follow a task, for its tenant, and return those that are new.

        ``items`` as in ClientStore.insert_tasks; for the transaction that completes the task.
        """
        rows = self._query(
            "add_follow_ups",
            id=task_id,
            items=json.dumps(items, ensure_ascii=False),
            attempt_limit=self._settings.attempt_limit,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return [follow_up(row) for row in rows]

    def rescue_tasks(self, *, limit: int) -> list[Standing]:
        """End attempts whose lease ran out, and say how their tasks stand now."""
        rows = self._query("rescue_tasks", limit=limit)
        tell_of_ended(rows)
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

    def call_parked(self, kinds: Sequence[str] | None, *, limit: int) -> list[Letter]:
        """Return the messages of up to ``limit`` parked tasks that there is room for now.

        ``kinds`` are those of which there may be room; None is any.
        """
        kinds = None if kinds is None else list(kinds)
        grace = self._settings.dispatch_grace
        rows = self._query("call_parked", kinds=kinds, most=limit, grace=grace)
        return [Letter(**row) for row in rows]

    def count_presumed(self) -> tuple[int, int]:
        """Return how many tasks are due to be sent again, and how many should have a message."""
        [row] = self._query("count_presumed", ahead=self._settings.send_ahead)
        return row["due"], row["open"]

    def expire_tasks(self, *, limit: int) -> list[int]:
        """Fail waiting tasks that were not begun in time and return their ids."""
        rows = self._query("expire_tasks", limit=limit)
        tell_of_ended(rows)
        return [row["id"] for row in rows]

    def read_outbox_lag(self) -> float:
        """Return for how many seconds the task that is longest overdue to be sent has been so."""
        return float(self._query("read_outbox_lag")[0]["lag"])

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

    def purge_limits(self, *, limit: int) -> int:
        """Forget limits that say nothing, and how much of them was used where that is all over."""
        return len(self._query("purge_limits", limit=limit))

    def purge_idempotency_keys(self, *, age: float, limit: int) -> int:
        """Forget up to ``limit`` Idempotency-Keys older than ``age`` seconds; return how many."""
        return len(self._query("purge_idempotency_keys", age=age, limit=limit))
