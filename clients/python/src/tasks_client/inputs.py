"""What may be asked for, and how it is written in JSON, queries and headers."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_HOLD = 20  #: seconds that the service holds an answer back at most


class TaskOptions(TypedDict, total=False):
    """What a new task may have besides its title; ``delay`` is in seconds."""

    description: str | None
    kind: str
    payload: Mapping[str, Any] | None
    tags: Sequence[str]
    run_at: datetime
    delay: float
    expires_at: datetime
    unique_key: str
    unique_scope: Literal["open", "forever"]
    callback_url: str
    limit_key: str
    priority: Literal["normal", "high"]


class NewTask(TaskOptions, total=False):
    """A task to be created."""

    title: Required[str]


class Changes(TypedDict, total=False):
    """What can be changed of a waiting task; None takes a value away.

    A task without a ``run_at`` begins at once.
    """

    title: str
    description: str | None
    payload: Mapping[str, Any] | None
    tags: Sequence[str] | None
    run_at: datetime | None
    delay: float
    expires_at: datetime | None


class _Filter(TypedDict, total=False):
    kind: str
    tag: str
    created_after: datetime
    created_before: datetime
    text: str


class Filters(_Filter, total=False):
    """Which tasks are to be listed: those that match all of it; ``text`` is words of the title."""

    status: str


class RetryFilter(_Filter, total=False):
    """Which tasks are to be retried: those that match all of it; failed ones if not said."""

    status: Literal["failed", "cancelled"]


def body(fields: Mapping[str, Any]) -> bytes:
    """Write a JSON object; raises TypeError or ValueError for what JSON cannot hold.

    A datetime must have an offset; ``delay`` becomes ``delay_seconds``.
    """
    named = {"delay_seconds" if name == "delay" else name: fields[name] for name in fields}
    text = json.dumps(
        named, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return text.encode()


def query(fields: Mapping[str, Any]) -> dict[str, str]:
    """Write a query's parameters; what is None is left out."""
    return {
        name: moment(value) if isinstance(value, datetime) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def moment(value: datetime) -> str:
    """Write a time; raises ValueError if nobody can know which one it is."""
    if value.utcoffset() is None:
        raise ValueError(f"{value.isoformat()} has no offset; use datetime.now(UTC), for example")
    return value.isoformat()


def quoted(key: str) -> str:
    """Write an idempotency key as a string of RFC 8941; raises ValueError if it cannot be one."""
    if not re.fullmatch(r"[ !#-\[\]-~]{1,255}", key):
        raise ValueError(
            "an idempotency key is 1 to 255 printable ASCII characters, no quotes or backslashes"
        )
    return f'"{key}"'


def held(seconds: float) -> dict[str, str]:
    """Return the header that asks for the answer to be held back, if for a second at least."""
    whole = hold(seconds)
    return {"Prefer": f"wait={whole}"} if whole else {}


def hold(seconds: float) -> int:
    """Return how many of these seconds one request can be held."""
    return int(min(LONGEST_HOLD, max(0.0, seconds)))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return moment(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")
