"""What can go wrong, as one tree.

TasksError
├── Refused                 the service will not do it; asking again changes nothing
│   ├── InvalidRequest      a rule was broken: `.errors` names each
│   │   └── TooLarge
│   ├── Unauthorized        no key, or not a valid one
│   ├── Forbidden           the key does not allow it
│   ├── TaskNotFound
│   ├── IllegalMove         the task's status does not allow it: `.current`
│   ├── TaskChanged         the task is no longer as it was read
│   └── KeyReused           the idempotency key was used for another request
├── RateLimited             too much at once: `.retry_after`
├── ServiceFailed           a mistake in the service
├── Unavailable             not now: `.retry_after`
│   └── Unreachable         no answer at all
├── UnexpectedAnswer        an answer that is none of the service's
├── NotFinished             the time to wait is over: `.unfinished`
└── PartlyCreated           some of many tasks were created: `.created`
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks_client.models import Task


class TasksError(Exception):
    """Something went wrong with a call to the task service.

    ``status`` is the HTTP status and ``request_id`` the service's name for the request, as in its
    log; both are None when there was no answer. ``problem`` is the whole RFC 9457 object.
    ``in_doubt`` says that the service may have done what it was asked, all the same.
    """

    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None  #: seconds
    in_doubt: bool = False

    def __init__(self, message: str | None = None) -> None:
        """Take a message for people; the class's first sentence if None."""
        super().__init__(message or (inspect.getdoc(type(self)) or "").partition("\n")[0])
        self.problem: Mapping[str, Any] = {}


class Refused(TasksError):
    """The service refused; the same request again will be refused too."""


class InvalidRequest(Refused):
    """The request breaks a documented rule."""

    @property
    def errors(self) -> Sequence[Mapping[str, str]]:
        """Each broken rule: ``pointer`` or ``parameter`` says where, ``detail`` which."""
        found = self.problem.get("errors", ())
        return [error for error in found if isinstance(error, dict)] if _is_list(found) else []


class TooLarge(InvalidRequest):
    """The body is larger than the service takes."""


class Unauthorized(Refused):
    """The service wants a key, or does not know this one."""


class Forbidden(Refused):
    """The key does not allow this."""


class TaskNotFound(Refused):
    """There is no task with this id."""


class IllegalMove(Refused):
    """The task's status does not allow this."""

    @property
    def current(self) -> str | None:
        """The status that the task has."""
        return self.problem.get("current")


class TaskChanged(Refused):
    """The task has changed since it was read."""


class KeyReused(Refused):
    """The idempotency key was used for another request."""


class RateLimited(TasksError):
    """The service takes no more requests for now."""


class ServiceFailed(TasksError):
    """The service made a mistake."""

    in_doubt = True


class Unavailable(TasksError):
    """The service cannot do this right now."""

    in_doubt = True


class Unreachable(Unavailable):
    """The service did not answer."""


class UnexpectedAnswer(TasksError):
    """The answer is not one of this service."""

    in_doubt = True


class NotFinished(TasksError, TimeoutError):
    """The time to wait is over, and some tasks are not finished."""

    def __init__(self, message: str, unfinished: Sequence[Task] = ()) -> None:
        """Take the tasks as they were last seen."""
        super().__init__(message)
        self.unfinished = tuple(unfinished)


class PartlyCreated(TasksError):
    """Some of the tasks were created, and then a request failed: that is the ``__cause__``.

    Calling again with the same tasks and ``idempotency_key`` creates the rest, and nothing twice.
    """

    def __init__(self, message: str, created: Sequence[Task] = (), key: str = "") -> None:
        """Take what was created, in the order asked, and the key of the whole call."""
        super().__init__(message)
        self.created = tuple(created)
        self.idempotency_key = key


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
