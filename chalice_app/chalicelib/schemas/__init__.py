"""The HTTP contract: what clients send (``requests``) and get (``answers``, ``stats``).

``limits`` is what operators allow of a kind, ``schedules`` what makes tasks again and again.

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
from chalicelib.schemas.fields import Url
from chalicelib.schemas.limits import Limits, NewLimits
from chalicelib.schemas.requests import (
    Filter,
    ListQuery,
    NewBatch,
    NewTask,
    RetryMany,
    StatsQuery,
    TaskChanges,
)
from chalicelib.schemas.schedules import (
    NewSchedule,
    ScheduleChanges,
    ScheduledTask,
    SchedulePage,
    ScheduleQuery,
    ScheduleView,
)
from chalicelib.schemas.stats import Depths, Minute, Quantiles, Stats

__all__ = [
    "Attempt",
    "Attempts",
    "Batch",
    "Created",
    "Depths",
    "Filter",
    "Health",
    "KindView",
    "Kinds",
    "Limits",
    "ListQuery",
    "Minute",
    "NewBatch",
    "NewLimits",
    "NewSchedule",
    "NewTask",
    "Quantiles",
    "Retried",
    "RetryMany",
    "ScheduleChanges",
    "SchedulePage",
    "ScheduleQuery",
    "ScheduleView",
    "ScheduledTask",
    "Stats",
    "StatsQuery",
    "TaskChanges",
    "TaskPage",
    "TaskView",
    "Url",
]
