"""What the worker's statements take and return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, assert_never

from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.queue import Letter
from chalicelib.strict_json import encode
from chalicelib.task import Status, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that was claimed, whose it is, and what its steps have made of it so far."""

    task: Task
    tenant: str
    steps: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a task stands after a statement about it.

    ``status`` is None when there is no such task. ``wait`` is the time in seconds until its
    lease ends (processing) or it is due. ``claim`` is there when the claim took it. ``fenced``
    means that somebody newer holds or finished it, so what was written was dropped. ``apart``
    means that it is a suspect and waits to be claimed alone. ``hold`` tells how the limits of its
    kind hold it back, which are there if ``limited``: parked (it is to have no message), promised.
    """

    id: int
    status: Status | None
    wait: float
    claim: Claim | None = None
    fenced: bool = False
    apart: bool = False
    hold: Literal["parked", "promised"] | None = None
    limited: bool = False

    @property
    def task(self) -> Task | None:
        """The task that was claimed."""
        return None if self.claim is None else self.claim.task


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What is known of a task that was stored with the completion of another."""

    id: int
    kind: str
    title: str
    description: str | None
    priority: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A task, whose it is, and the time in seconds until it is due (below zero: since)."""

    task: Task | FollowUp
    tenant: str
    wait: float

    def letter(self) -> Letter:
        """Return its message."""
        return Letter(
            id=self.task.id,
            title=self.task.title,
            description=self.task.description,
            tenant=self.tenant,
            priority=self.task.priority,
            delay=max(0.0, self.wait),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of one attempt; ``unsent`` says that no message will be left for the task."""

    id: int
    outcome: Outcome
    unsent: bool


def standing(row: dict[str, Any], claim: Claim | None = None) -> Standing:
    """Read a row of claim_tasks or settle_attempts."""
    return Standing(
        id=row["id"],
        status=None if row["status"] is None else Status(row["status"]),
        wait=row["wait"],
        claim=claim,
        fenced=row.get("fenced", False),
        apart=row.get("apart", False),
        hold=row.get("hold"),
        limited=row.get("limited", False),
    )


def claimed(row: dict[str, Any]) -> Claim | None:
    """Read what a row of claim_tasks says was claimed."""
    if not row["claimed"]:
        return None
    return Claim(task=Task.from_row(row), tenant=row["tenant"], steps=row["steps"] or {})


def follow_up(row: dict[str, Any]) -> Due:
    """Read a row of add_follow_ups."""
    known = {name: row[name] for name in ("id", "kind", "title", "description", "priority")}
    return Due(task=FollowUp(**known), tenant=row["tenant"], wait=row["wait"])


class Ended(NamedTuple):
    """What settle_attempts writes of one attempt: JSON texts, and a delay in seconds."""

    outcome: str
    result: str
    error: str | None = None
    delay: float = 0.0


def settled(settlement: Settlement) -> Ended:
    """Return what settle_attempts writes of one attempt."""
    match settlement.outcome:
        case Completed(result):
            return Ended("completed", result)
        case Failed(error):
            return Ended("failed", *_failure(error))
        case Retry(delay, error):
            return Ended("retry", *_failure(error), delay)
        case Released(delay):
            spent = {"code": "attempts_exhausted", "message": "The task was put off too often."}
            return Ended("release", *_failure(spent), delay)
        case _:
            assert_never(settlement.outcome)


def _failure(error: dict[str, Any]) -> tuple[str, str]:
    return encode(f"Error: {error['message']}"), encode(error)
