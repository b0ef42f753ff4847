"""What the statements of a client return, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import (
    Forbidden,
    IllegalMove,
    KeyReused,
    TaskChanged,
    TaskNotFound,
    TooManyRequests,
    Unauthorized,
)
from chalicelib.store.rows import Due
from chalicelib.task import Task

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.db import Rows
    from chalicelib.settings import Settings

#: How long a client is told to wait for open tasks to end, in seconds.
OPEN_WAIT = 10

#: Where a page begins: at a time of creation and, among the tasks of that time, an id.
Place = tuple["datetime", int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Due):
    """A task as a client sees it."""

    task: Task
    moved: bool = False  #: whether a change gave it another time


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation(Found):
    """A task that was asked for.

    ``created`` is False where it was there: its unique key was taken. ``replayed`` says that the
    request had been answered before; ``created``, what it was answered then.
    """

    created: bool
    replayed: bool


def refusal(row: dict[str, Any], settings: Settings) -> Exception:
    """Return the error of a row that refuses the caller."""
    match row["refusal"]:
        case "expired" | "revoked" as state:
            return Unauthorized(f"The key is {state}.")
        case "scope":
            return Forbidden()
        case "reused":
            return KeyReused()
        case "rate":
            wait = max(1, math.ceil(row["retry_after"]))
            return TooManyRequests(
                f"At most {settings.rate_limit:g} tasks may be created a second.", wait=wait
            )
        case "open":
            return TooManyRequests(
                f"At most {settings.open_limit:,} tasks may be open.", wait=OPEN_WAIT
            )
        case _:
            return Unauthorized("There is no such key.")


def read(row: dict[str, Any]) -> Found:
    """Read the row of a task."""
    task, moved = Task.from_row(row), row.get("moved", False)
    return Found(task=task, tenant=row["tenant"], wait=row["wait"], moved=moved)


def read_moved(rows: Rows, task_id: int, move: str) -> Found:
    """Read the row of a task that was moved; raises as ``check`` does."""
    check(rows[0], task_id, move)
    return read(rows[0])


def check(row: dict[str, Any], task_id: int, move: str) -> None:
    """Raise TaskNotFound, TaskChanged or IllegalMove where the task was not moved."""
    current = row["current"]
    if current is None:
        raise absent(task_id)
    match row["obstacle"]:
        case None:
            return
        case "stale":
            raise TaskChanged(f"Task {task_id} has changed since; read it again.")
        case "twin":
            raise IllegalMove(f"Another task has task {task_id}'s unique key.", current=current)
        case _:
            text = f"Task {task_id} is {current} and cannot be {move}."
            raise IllegalMove(text, current=current)


def absent(task_id: int) -> TaskNotFound:
    """Return the error of a task that is not there, or not the tenant's."""
    return TaskNotFound(f"There is no task {task_id}.")
