"""Tells of a task's attempts from its history and from the columns of the latest one."""

from __future__ import annotations

from typing import Any

from chalicelib.schemas import Attempt
from chalicelib.task import Status
from chalicelib.tracing import id_in


def attempts_of(row: dict[str, Any]) -> list[Attempt]:
    """Return the attempts that a row of get_attempts tells of, numbered as they counted."""
    history = [_ended(one) for one in row["attempts"]]
    if row["status"] in {Status.PROCESSING, Status.COMPLETED}:
        history.append(_latest(row))
    for number, attempt in enumerate(history, start=1):
        attempt.attempt = number
    return history


def _ended(record: dict[str, Any]) -> Attempt:
    return _shown(Attempt.model_validate(record | {"duration": None}))


def _latest(row: dict[str, Any]) -> Attempt:
    columns = row | {"ended_at": row["finished_at"], "outcome": row["status"]}
    return _shown(Attempt.model_validate(columns | {"error": None, "duration": None}))


def _shown(attempt: Attempt) -> Attempt:
    attempt.trace_id = id_in(attempt.trace_id)
    if attempt.ended_at is not None:
        attempt.duration = (attempt.ended_at - attempt.started_at).total_seconds()
    return attempt
