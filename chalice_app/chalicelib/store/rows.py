"""What the worker's statements take and return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.strict_json import encode
from chalicelib.task import Status

if TYPE_CHECKING:
    from chalicelib.task import Task


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


def standing(row: dict[str, Any], task: Task | None) -> Standing:
    """Read a row of claim_tasks or settle_attempts."""
    return Standing(
        id=row["id"],
        status=None if row["status"] is None else Status(row["status"]),
        wait=row["wait"],
        task=task,
        fenced=row.get("fenced", False),
        apart=row.get("apart", False),
    )


def settled(settlement: Settlement) -> dict[str, Any]:
    """Return what settle_attempts writes of one attempt: outcome, result, error and delay."""
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
