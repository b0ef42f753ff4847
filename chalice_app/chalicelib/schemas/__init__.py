"""The HTTP contract: what clients send (``requests``) and what they get (``answers``).

``fields`` has the kinds of values, ``bodies`` reads what clients send, ``rules`` has the words for
a rule that is broken.
"""

from __future__ import annotations

from chalicelib.schemas.answers import (
    Attempt,
    Attempts,
    Batch,
    Created,
    Health,
    Kinds,
    KindView,
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
    "KindView",
    "Kinds",
    "ListQuery",
    "NewBatch",
    "NewTask",
    "Retried",
    "RetryMany",
    "TaskChanges",
    "TaskPage",
    "TaskView",
]
