"""A service in memory: its tasks, and the worker's own room that makes attempts of them."""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.intake import taken
from chalicelib.logs import JsonLines
from chalicelib.outcome import Completed
from chalicelib.queue import Message
from chalicelib.settings import Settings
from chalicelib.store import Claim
from chalicelib.task import Status, Task
from chalicelib.worker.alarm import margin
from chalicelib.worker.batch import Batch, Invocation
from chalicelib.worker.run import Runner
from localdev.testing.ran import Ran
from localdev.testing.surroundings import EVERYTHING, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.outcome import Outcome
    from chalicelib.registry import Registry
    from chalicelib.worker.batch import Attempted
    from localdev.testing.given import Given

#: What a task may lack, and what is kept of it as it was sent.
AS_SENT = ("description", "payload", "unique_key", "callback_url", "limit_key")


@dataclass(slots=True)
class Row:
    """A task that is not finished: when it is due, and what its steps have made of it so far."""

    task: Task
    due: datetime
    steps: dict[str, Any] = field(default_factory=dict)


class Memory:
    """Takes tasks in as the service does, and makes attempts as its worker does."""

    def __init__(self, registry: Registry, given: Given) -> None:
        """Take the handlers, and what a test gives."""
        self._registry = registry
        self._given = given
        self._settings = given.get("settings") or Settings()
        self._made = 0

    def first(self, kind: str, payload: Any) -> Row:
        """Return the task of a test; raises InvalidRequest for what POST /tasks would refuse."""
        usual = {"title": "A test"} | dict(self._given.get("task", {}))
        values = usual | {"kind": kind} | ({} if payload is None else {"payload": payload})
        columns = taken(self._registry, values, EVERYTHING)
        row = self.row(columns, attempt=self._given.get("attempt", 1))
        row.steps |= self._given.get("steps", {})
        return row

    def row(self, columns: Mapping[str, Any], *, attempt: int = 1) -> Row:
        """Return a task of which ``columns`` are stored."""
        self._made += 1
        now = datetime.now(UTC)
        due = now + timedelta(seconds=columns["delay"])
        due = max(due, _moment(columns.get("run_at")) or due)
        task = Task(
            id=self._made,
            kind=columns["kind"],
            title=columns["title"],
            **{name: columns.get(name) for name in AS_SENT},
            status=Status.PROCESSING,
            attempt=attempt,
            attempt_limit=columns.get("attempt_limit", self._settings.attempt_limit),
            release_count=0,
            result=None,
            error=None,
            run_at=due,
            created_at=now,
            updated_at=now,
            started_at=due,
            finished_at=None,
            expires_at=_moment(columns.get("expires_at")),
            cancel_requested_at=None,
            priority=columns.get("priority", "normal"),
            progress=None,
            trace_id=None,
            tags=columns["tags"],
        )
        return Row(task, due)

    def attempt(self, row: Row) -> Ran:
        """Make one attempt of a task."""
        ran = Ran(task=row.task, at=datetime.now(UTC), steps=dict(row.steps))
        with (
            Surroundings(self._given, self._registry, self._settings, ran) as around,
            _heard(f"handlers.{row.task.kind}", ran.log),
        ):
            rows: Any = Renewals(ran, stopped=self._given.get("stopped", False))
            runner = Runner(around.bench(), rows, self._settings)
            claim = Claim(
                task=row.task,
                tenant=self._given.get("tenant", "default"),
                steps=dict(row.steps),
            )
            batch = self._batch(row.task)
            attempted = runner.attempt(claim, batch, runner.deadline(claim, batch))
            ran.outcome = _committed(attempted, runner, ran)
        if isinstance(ran.raised, KeyboardInterrupt):  # it was not meant for the handler
            raise ran.raised
        return ran

    def _batch(self, task: Task) -> Batch:
        nobody: Any = None
        message = Message(
            id="test", receipt="", task_id=task.id, receive_count=1, trace_id=None, body=""
        )
        end = time.monotonic() + self._seconds()
        invocation = Invocation("test", lambda: end - time.monotonic())
        return Batch(invocation=invocation, fates=nobody, messages={task.id: [message]})

    def _seconds(self) -> float:
        # Of which the worker, which keeps some for itself, leaves what was asked for.
        asked = self._given.get("seconds")
        if asked is None:
            return self._settings.worker_timeout
        return asked + min(asked, margin(self._settings))


class Renewals:
    """What the rows of a database are to the powers of an attempt."""

    def __init__(self, ran: Ran, *, stopped: bool) -> None:
        """Take what is told of the attempt, and whether its task is no longer its own."""
        self._ran = ran
        self._stopped = stopped

    def renew_lease(
        self,
        _task_id: int,
        *,
        token: str,  # noqa: ARG002  (nobody else works the task)
        lease: float,  # noqa: ARG002
        progress: str | None = None,
        step: str | None = None,
    ) -> bool:
        """Keep what is given, and tell whether the attempt may go on; see Store.renew_lease."""
        if self._stopped:
            return False
        if progress is not None:
            self._ran.progress.append(json.loads(progress))
        elif step is not None:
            self._ran.steps |= json.loads(step)
        else:
            self._ran.heartbeats += 1
        return True


def _committed(attempted: Attempted, runner: Runner, ran: Ran) -> Outcome:
    # As worker.complete does, whose statements there is no row for.
    powers = attempted.powers
    if powers is None or not isinstance(attempted.outcome, Completed):
        return attempted.outcome
    try:
        powers.commit()
    except Exception as error:  # noqa: BLE001  (psycopg2's own among them)
        ran.raised = error
        return runner.judge(attempted.task, error)
    ran.enqueued = powers.follow_ups
    return attempted.outcome


@contextmanager
def _heard(name: str, lines: list[dict[str, Any]]) -> Iterator[None]:
    logger, ear = logging.getLogger(name), _Ear(lines)
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(ear)


class _Ear(logging.Handler):
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.loads(JsonLines().format(record)))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
