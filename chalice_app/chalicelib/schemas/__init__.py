"""The HTTP contract: what clients send (``requests``) and what they get (``answers``)."""

from __future__ import annotations

from chalicelib.schemas.answers import (
    Attempt,
    Attempts,
    Batch,
    Created,
    Health,
    Retried,
    TaskPage,
    TaskView,
)
from chalicelib.schemas.requests import (
    Filter,
    ListQuery,
    NewBatch,
    NewTask,
    RetryMany,
    TaskChanges,
)

__all__ = [
    "Attempt",
    "Attempts",
    "Batch",
    "Created",
    "Filter",
    "Health",
    "ListQuery",
    "NewBatch",
    "NewTask",
    "Retried",
    "RetryMany",
    "TaskChanges",
    "TaskPage",
    "TaskView",
]
