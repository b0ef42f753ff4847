"""The state of one invocation of the worker."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.fate import Fates
    from chalicelib.outcome import Outcome
    from chalicelib.queue import Message
    from chalicelib.task import Task
    from chalicelib.worker.powers import Powers


#: A result waits this long, in seconds, for others to be settled in the same statement.
PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the worker: its id, and what tells the seconds that remain of it."""

    request_id: str
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that is over: its outcome, and the seconds its handler ran (None: not begun).

    ``powers`` are there if effects are to come true with its completion.
    """

    task: Task
    outcome: Outcome
    duration: float | None = None
    powers: Powers | None = None


@dataclass(slots=True, kw_only=True)
class Batch:
    """Messages by task, their fates, and attempts not yet settled (the oldest since when)."""

    invocation: Invocation
    fates: Fates
    messages: dict[int, list[Message]] = field(default_factory=dict)
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: Suspects: they are to be claimed one by one when everything else is settled.
    apart: list[int] = field(default_factory=list)
    attempted: list[Attempted] = field(default_factory=list)
    oldest: float = 0.0
    #: Tasks that were ended here and have somebody to be told: the database has made tasks of it.
    callbacks: int = 0
    #: Tasks that take places under limits of their kinds, and kinds of which some are free again.
    limited: set[int] = field(default_factory=set)
    freed: set[str] = field(default_factory=set)

    def alone(self, task_id: int) -> Batch:
        """Return a batch of one task, with a lease of its own."""
        messages = {task_id: self.messages[task_id]}
        return Batch(invocation=self.invocation, fates=self.fates, messages=messages)

    def keep(self, attempted: Attempted) -> None:
        """Keep an attempt that is over until it is settled."""
        if not self.attempted:
            self.oldest = time.monotonic()
        self.attempted.append(attempted)

    def patience_left(self) -> float:
        """Return how many seconds the oldest attempt may still wait; without any, for ever."""
        if not self.attempted:
            return math.inf
        return self.oldest + PATIENCE - time.monotonic()

    def leave(self, task_id: int) -> None:
        """Leave a task's messages to the visibility timeout: nobody knows how it stands."""
        for message in self.messages[task_id]:
            self.fates.leave(message)

    def facts(self, task: Task) -> dict[str, Any]:
        """Return what log lines tell of a task's attempt."""
        message = self.messages[task.id][0]
        return {
            "task_id": task.id,
            "kind": task.kind,
            "attempt": task.attempts_spent,
            "message_id": message.id,
            "trace_id": message.trace_id,
        }

    def firsts(self) -> list[Message]:
        """Return one message for each task; the others share its fate."""
        return [messages[0] for messages in self.messages.values()]
