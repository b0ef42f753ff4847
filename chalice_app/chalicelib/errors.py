"""Every error this service raises on purpose.

ServiceError
├── InvalidRequest          the request breaks a documented rule
│   ├── MalformedBody       the body is not JSON at all
│   ├── MalformedHeader     a header is not of the form it has to have
│   ├── UnsupportedMediaType
│   └── BodyTooLarge
├── Unauthorized            no key, or none that counts
├── Forbidden               the key does not allow this
├── TaskNotFound
├── KindNotFound
├── ScheduleNotFound
├── ScheduleRefused         the tenant cannot have this schedule
├── KeyNotFound
├── IllegalMove             the task's status does not allow it
├── TaskChanged             the task is no longer as the client saw it
├── KeyReused               the Idempotency-Key was used for something else
├── TooManyRequests         more than a tenant may have
├── EnqueueFailed           SQS refused the task and ENQUEUE_FAILURE=fail asks to say so
├── Unavailable             worth trying again
│   ├── StoreUnavailable
│   └── QueueUnavailable
├── StoreRejected           the database will never take this value
├── NotStorable             a value that is not strict JSON, or too large
├── BadExpression           an expression that cannot be read, or not computed for a row
├── UnreadableMessage       a queue message that names no task
├── BatchPartiallyFailed    tells Lambda that messages are left to retry
├── DuplicateHandler        two handlers claim one kind
├── InvalidPolicy           a handler is registered with what cannot be
├── UnknownKind             no handler for this kind
├── OutboundRefused         a URL that leads where no request of ours may go
├── OutboundFailed          no whole answer from a foreign host
├── InvalidSettings
└── MigrationRefused        the database's history is not ours

Signal                      raised by handlers to steer the worker; not failures of the service
├── RetryLater
├── GiveUp
├── Snooze
└── Stopped                 raised by context.heartbeat() and context.progress()

TimedOut                    raised in a handler whose time is over; no Exception, so that a handler
                            that catches those does not take it for a failure of its own
"""

from __future__ import annotations

import inspect
from typing import Any, Self


class ServiceError(Exception):
    """Something went wrong in the task service."""

    def __init__(self, message: str | None = None, **context: Any) -> None:
        """Take a message (the class's docstring if none) and facts to show beside it."""
        super().__init__(message or inspect.getdoc(type(self)))
        self.context = context


class InvalidRequest(ServiceError):
    """The request breaks a documented rule."""

    @classmethod
    def naming(cls, errors: list[dict[str, str]], count: int = 0) -> Self:
        """Make one from its broken rules, each ``{<where>: <name>, "detail": <rule>}``.

        ``count`` tells how many there are, if there are more than are named.
        """
        place, rule = list(errors[0].values())[:2]
        count = max(count, len(errors))
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        unnamed = {"unnamed": count - len(errors)} if count > len(errors) else {}
        return cls(f"{place} {rule}{more}.", errors=errors, **unnamed)


class MalformedBody(InvalidRequest):
    """The body is not valid JSON."""


class MalformedHeader(InvalidRequest):
    """A header is not of the form it has to have."""


class UnsupportedMediaType(InvalidRequest):
    """Send the body as Content-Type: application/json."""


class BodyTooLarge(InvalidRequest):
    """The body is larger than a task may be."""


class Unauthorized(ServiceError):
    """Send a valid key as Authorization: Bearer tk_..."""


class Forbidden(ServiceError):
    """The key does not have the scope that this needs."""


class TaskNotFound(ServiceError):
    """There is no task with this id."""


class KindNotFound(ServiceError):
    """There is no handler of this kind."""


class ScheduleNotFound(ServiceError):
    """There is no schedule with this id."""


class ScheduleRefused(ServiceError):
    """There cannot be this schedule beside the others."""


class KeyNotFound(ServiceError):
    """There is no key with this id."""


class IllegalMove(ServiceError):
    """The task's status does not allow this."""


class TaskChanged(ServiceError):
    """The task has changed since it was read."""


class KeyReused(ServiceError):
    """The Idempotency-Key was used for another request."""


class TooManyRequests(ServiceError):
    """There are more new tasks than the tenant may have; try again later."""


class EnqueueFailed(ServiceError):
    """The task could not be queued."""


class Unavailable(ServiceError):
    """A service this one depends on cannot be reached right now; try again."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached right now; try again."""


class QueueUnavailable(Unavailable):
    """The queue cannot be reached right now; try again."""


class StoreRejected(ServiceError):
    """The database does not accept this value."""


class NotStorable(ServiceError):
    """The value cannot be stored as JSON."""


class BadExpression(ServiceError):
    """The expression cannot be read or computed."""


class UnreadableMessage(ServiceError):
    """The message does not name a task."""


class BatchPartiallyFailed(ServiceError):
    """Some messages of the batch are left on the queue to be received again."""


class DuplicateHandler(ServiceError):
    """Two handlers are registered for the same kind."""


class InvalidPolicy(ServiceError):
    """A handler is registered with attempts, a time limit or a backoff that cannot be."""


class UnknownKind(ServiceError):
    """No handler is registered for this kind."""


class OutboundRefused(ServiceError):
    """No request may go to this address; it is the end of a sentence about the URL."""


class OutboundFailed(ServiceError):
    """The host gave no whole answer."""


class InvalidSettings(ServiceError):
    """A setting in the environment is out of bounds."""


class MigrationRefused(ServiceError):
    """The database's migration history does not match the files."""


#: The longest wait that a handler may ask for, in seconds.
LONGEST_WAIT = 366 * 24 * 60 * 60


def _wait(seconds: float) -> float:
    # A wrong one is told here, in the handler that gave it; a moment that has passed means now.
    wait = float(seconds)
    if not wait <= LONGEST_WAIT:
        raise ValueError(f"A wait is at most {LONGEST_WAIT} seconds, not {seconds}.")
    return max(0.0, wait)


class Signal(Exception):
    """Base of what a handler raises to steer the worker."""


class RetryLater(Signal):
    """Try this task again: an attempt is spent."""

    def __init__(self, reason: str = "", *, seconds: float | None = None) -> None:
        """Take why, and in how many seconds to try again (the usual backoff if None)."""
        super().__init__(reason or inspect.getdoc(type(self)))
        self.seconds = None if seconds is None else _wait(seconds)


class GiveUp(Signal):
    """This task can never succeed; it is not tried again."""

    def __init__(self, reason: str = "") -> None:
        """Take why; it is shown to the client."""
        super().__init__(reason or inspect.getdoc(type(self)))


class Snooze(Signal):
    """Not now: run the task again later, without spending an attempt."""

    def __init__(self, seconds: float) -> None:
        """Take in how many seconds to run the task again."""
        self.seconds = _wait(seconds)
        super().__init__(f"Snoozed for {seconds:g} s.")


class Stopped(Signal):
    """The task was cancelled, or is worked by somebody newer: stop working on it."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(inspect.getdoc(type(self)))


class TimedOut(BaseException):
    """The handler was still running when its time was over."""

    def __init__(self, seconds: float | None = None, *, goes_on: bool = False) -> None:
        """Take how many seconds the handler had been running, where it is known.

        ``goes_on``: it could not be interrupted, and still runs.
        """
        after = "when its time was over" if seconds is None else f"after {seconds:.1f} s"
        fate = "was still running" if goes_on else "was interrupted"
        super().__init__(f"The handler {fate} {after}.")
