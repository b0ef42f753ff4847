"""Which handler works which kind of task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import DuplicateHandler, UnknownKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.task import Task

    Handler = Callable[["Task", "Context"], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a handler may know of the invocation it runs in.

    ``idempotency_key`` stays the same over all attempts of a task: hand it to services outside,
    since an attempt may be repeated. ``remaining`` tells the seconds left until the time limit.
    ``heartbeat``, called now and then in long work, renews the lease; it raises Stopped (let it
    pass) when the task was cancelled or somebody newer works it, and StoreUnavailable.

    A handler that still runs shortly before the time limit is interrupted by TimedOut: it may clean
    up, and lets it pass.
    """

    idempotency_key: str
    remaining: Callable[[], float]
    heartbeat: Callable[[], None]


class Registry:
    """Handlers by kind."""

    def __init__(self) -> None:
        """Begin empty."""
        self._handlers: dict[str, Handler] = {}

    def handler(self, kind: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for tasks of ``kind``.

        It takes the task and a Context and returns any JSON value. Raises DuplicateHandler.
        """

        def register(function: Handler) -> Handler:
            if kind in self._handlers:
                raise DuplicateHandler(f"Two handlers are registered for {kind!r}.")
            self._handlers[kind] = function
            return function

        return register

    def run(self, task: Task, context: Context) -> Any:
        """Do the work of one task and return what its handler returned.

        Raises UnknownKind, and whatever the handler raises.
        """
        if task.kind not in self._handlers:
            raise UnknownKind(f"No handler is registered for {task.kind!r}.")
        return self._handlers[task.kind](task, context)

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind that has a handler."""
        return frozenset(self._handlers)


#: The one that handlers/ fills; other registries are made by tests.
registry = Registry()
handler = registry.handler
