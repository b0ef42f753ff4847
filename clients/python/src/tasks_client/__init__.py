"""A typed client for Chalice Tasks: durable background tasks over HTTP."""

from __future__ import annotations

from tasks_client.client import Client
from tasks_client.errors import (
    Forbidden,
    IllegalMove,
    InvalidRequest,
    KeyReused,
    NotFinished,
    PartlyCreated,
    RateLimited,
    Refused,
    ServiceFailed,
    TaskChanged,
    TaskNotFound,
    TasksError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from tasks_client.inputs import Changes, Filters, NewTask, RetryFilter, TaskOptions
from tasks_client.models import Attempt, Failure, Page, Progress, Retried, Status, Task
from tasks_client.stats import Depths, Minute, Quantiles, Stats
from tasks_client.version import __version__

__all__ = [
    "Attempt",
    "Changes",
    "Client",
    "Depths",
    "Failure",
    "Filters",
    "Forbidden",
    "IllegalMove",
    "InvalidRequest",
    "KeyReused",
    "Minute",
    "NewTask",
    "NotFinished",
    "Page",
    "PartlyCreated",
    "Progress",
    "Quantiles",
    "RateLimited",
    "Refused",
    "Retried",
    "RetryFilter",
    "ServiceFailed",
    "Stats",
    "Status",
    "Task",
    "TaskChanged",
    "TaskNotFound",
    "TaskOptions",
    "TasksError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "__version__",
]
