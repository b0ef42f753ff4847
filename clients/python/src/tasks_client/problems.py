"""Turns an answer that is no success into the error that it means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tasks_client import backoff
from tasks_client.errors import (
    Forbidden,
    IllegalMove,
    InvalidRequest,
    KeyReused,
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
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "urn:problem-type:tasks:"
#: Where the status alone does not say enough.
BY_TYPE: dict[str, type[TasksError]] = {
    "task-not-found": TaskNotFound,
    "illegal-move": IllegalMove,
    "key-reused": KeyReused,
}
BY_STATUS: dict[int, type[TasksError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    412: TaskChanged,
    413: TooLarge,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(
    status: int, headers: Mapping[str, str], content: bytes, *, in_doubt: bool = False
) -> TasksError:
    """Return the error; ``in_doubt`` if an earlier try may have been carried out."""
    problem = _read(content)
    kind = _class(status, str(problem.get("type", "")))
    error = kind(_message(status, problem))
    error.status = status
    error.problem = problem
    error.request_id = problem.get("request_id")
    error.retry_after = backoff.retry_after(headers.get("Retry-After"))
    error.in_doubt = error.in_doubt or in_doubt
    return error


def _class(status: int, name: str) -> type[TasksError]:
    fallback: type[TasksError] = UnexpectedAnswer
    if 400 <= status < 500:  # noqa: PLR2004  (RFC 9110, 15.5)
        fallback = Refused
    elif status >= 500:  # noqa: PLR2004  (RFC 9110, 15.6)
        fallback = ServiceFailed
    return BY_TYPE.get(name.removeprefix(PREFIX)) or BY_STATUS.get(status, fallback)


def _read(content: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _message(status: int, problem: Mapping[str, Any]) -> str:
    rules = [
        f"{error.get('pointer') or error.get('parameter') or 'request'} {error.get('detail', '')}"
        for error in problem.get("errors") or ()
        if isinstance(error, dict)
    ]
    # API Gateway's own answers have no more than a `message`.
    known = problem.get("detail") or problem.get("message") or problem.get("title")
    text = "; ".join(rules) or known
    return str(text) if text else f"the answer was {status} and said nothing about why"
