"""What the table must hold: the rows of the explored model, with the tokens that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.model import rows
from tests.model.rows import FINAL, WAITING, Design, Row

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = Design()


@dataclass(slots=True)
class Expected:
    """One task: ``overdue`` is due for a second look, ``unqueued`` failed for want of a message.

    ``written`` is the token whose result it keeps.
    """

    row: Row
    token: str | None = None
    overdue: bool = False
    unqueued: bool = False
    written: str | None = None


@dataclass(slots=True)
class Reference:
    """Every task that exists, by id."""

    attempts: int
    tasks: dict[int, Expected] = field(default_factory=dict)

    def insert(self, number: int) -> None:
        self.tasks[number] = Expected(Row(limit=self.attempts, spare=self.attempts))

    def claim(self, ids: list[int], token: str, *, alone: bool) -> dict[int, str]:
        """Return the verdict on each id."""
        verdicts = {number: self._claim_one(number, token, alone=alone)[0] for number in ids}
        shared = list(verdicts.values()).count("claim") > 1
        for number, verdict in verdicts.items():
            if verdict in {"claim", "suspect", "cancel", "exhaust"}:
                task = self.tasks[number]
                _, row = self._claim_one(number, token, alone=alone, shared=shared)
                self._become(task, row, token if verdict == "claim" else None)
        return verdicts

    def _claim_one(
        self, number: int, token: str, *, alone: bool, shared: bool = False
    ) -> tuple[str, Row]:
        if number not in self.tasks:
            return "absent", Row()
        task = self.tasks[number]
        mine = task.token == token
        return rows.claim_tasks(OURS, task.row, mine=mine, shared=shared, alone=alone)

    def settle(self, number: int, token: str, outcome: str, *, unsent: bool, due: bool) -> bool:
        """Return whether the writer is fenced."""
        task = self.tasks.get(number)
        if task is None:
            return True
        mine = task.token == token
        if rows.may_settle(OURS, task.row, mine=mine, attempt=0):
            row = rows.settle_attempts(OURS, task.row, outcome, unsent=unsent)
            if row.status == "retrying":
                row = row._replace(due=due)
            self._become(task, row, token)
            task.written = token if outcome == "completed" else None
        return not mine

    def rescue(self) -> dict[int, str]:
        """Return the status of each task that was rescued."""
        lost = [n for n, task in self.tasks.items() if rows.may_rescue(OURS, task.row)]
        for number in lost:
            task = self.tasks[number]
            self._become(task, rows.rescue_tasks(OURS, task.row), None)
        return {number: self.tasks[number].row.status for number in lost}

    def dispatch(self, *, unsent: bool) -> set[int]:
        """Return the ids of the tasks whose messages are sent."""
        sent = {n for n, one in self.tasks.items() if one.row.status in WAITING}
        sent = {n for n in sent if self.tasks[n].row.unsent == unsent}
        sent = {n for n in sent if unsent or self.tasks[n].overdue}
        for number in sent:
            self._send(self.tasks[number])
        return sent

    def mark_unsent(self, ids: Iterable[int]) -> None:
        for number in ids:
            task = self.tasks.get(number)
            if task and task.row.status in WAITING:
                task.row = task.row._replace(unsent=True)
                task.overdue = False

    def renew(self, number: int, token: str) -> bool:
        """Return whether the attempt goes on."""
        task = self.tasks.get(number)
        if not task or task.token != token or task.row.status != "processing" or task.row.cancel:
            return False
        task.row = task.row._replace(live=True)
        return True

    def cancel(self, number: int) -> bool:
        task = self.tasks.get(number)
        if not task or task.row.status in FINAL:
            return False
        task.row = rows.cancel_task(task.row) or task.row
        return True

    def retry(self, number: int) -> bool:
        task = self.tasks.get(number)
        row = task and rows.retry_task(OURS, task.row, self.attempts)
        if not task or not row:
            return False
        self._become(task, row, None)
        task.unqueued = False
        return True

    def delete(self, number: int) -> bool:
        task = self.tasks.get(number)
        if not task or task.row.status not in FINAL:
            return False
        del self.tasks[number]
        return True

    def expire(self, number: int) -> None:
        """Let the time of a waiting task run out."""
        task = self.tasks[number]
        task.row = rows.ended(task.row, "failed")

    def fail_unqueued(self, number: int) -> bool:
        task = self.tasks.get(number)
        if not task or task.row.attempt or not (task.unqueued or task.row.status == "pending"):
            return False
        task.row = rows.ended(task.row, "failed")
        task.unqueued = True
        return True

    def columns(self) -> dict[int, dict[str, Any]]:
        """Return what the table must say of every task."""
        return {number: _columns(task) for number, task in self.tasks.items()}

    def _become(self, task: Expected, row: Row, token: str | None) -> None:
        task.row, task.token, task.overdue = row, token, False

    def _send(self, task: Expected) -> None:
        task.row, task.overdue = task.row._replace(unsent=False), False


def _columns(task: Expected) -> dict[str, Any]:
    row, waiting = task.row, task.row.status in WAITING
    return {
        "status": row.status,
        "attempt": row.attempt,
        "attempt_limit": row.limit,
        "lease_token": task.token,
        "live": row.live,
        "due": row.due if waiting else None,
        "unsent": row.unsent if waiting else None,
        "cancel": row.cancel,
        "lease_shared": row.shared,
        "suspect": row.suspect,
        "written": task.written if row.status == "completed" else None,
    }
