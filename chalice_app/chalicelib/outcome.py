"""What becomes of a task after its handler ran: pure decisions, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import (
    GiveUp,
    NotStorable,
    RetryLater,
    Snooze,
    Stopped,
    TimedOut,
    UnknownKind,
)
from chalicelib.strict_json import clean, encode

if TYPE_CHECKING:
    from chalicelib.policy import Backoff

#: The longest error text that is kept, in bytes.
MAX_ERROR = 4096
#: How long a kind may be unknown, in seconds, before that is taken for a mistake: while a deploy
#: is under way an old worker meets tasks that only the new one can run.
UNKNOWN_KIND_GRACE = 60 * 60
#: How long it is put off each time: the sweeper, which sends it again, comes once a minute.
UNKNOWN_KIND_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; ``result`` is its value as JSON text."""

    result: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed; if one is left, the next begins ``delay`` seconds from now."""

    delay: float
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The task can never succeed."""

    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt never counted; the task runs again ``delay`` seconds from now."""

    delay: float


Outcome = Completed | Retry | Failed | Released


def completed(value: Any) -> Completed | Failed:
    """Turn what a handler returned into an outcome; a value that cannot be kept is a failure."""
    try:
        return Completed(encode(value))
    except NotStorable as error:
        return Failed(describe("permanent", NotStorable(f"The handler's result {error}.")))


def judge(error: BaseException, *, attempt: int, release_count: int, backoff: Backoff) -> Outcome:
    """Decide what an exception in a handler means for the task."""
    match error:
        case Snooze():
            return Released(error.seconds)
        case Stopped():
            return Retry(0.0, describe("cancelled", error))  # only if it was; else it is fenced
        case UnknownKind() if release_count * UNKNOWN_KIND_WAIT < UNKNOWN_KIND_GRACE:
            return Released(UNKNOWN_KIND_WAIT)
        case GiveUp() | UnknownKind():
            return Failed(describe("permanent", error))
        case RetryLater() if error.seconds is not None:
            return Retry(error.seconds, describe("exception", error))
        case _:
            return Retry(backoff.after(attempt), _why(error))


def describe(code: str, error: BaseException) -> dict[str, Any]:
    """Return an exception as the error object that clients see."""
    return {
        "code": code,
        "class": type(error).__name__,
        "message": clean(_text(error), max_bytes=MAX_ERROR),
    }


def _why(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TimedOut):
        return describe("timeout", error)
    return describe("exception", error)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (code of a handler's, which may raise anything)
        return "The exception has no readable text."
