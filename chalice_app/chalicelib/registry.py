"""Which handler works which kind of task."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.errors import DuplicateHandler, GiveUp, UnknownKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from chalicelib.task import Task

    Handler = Callable[["Task", "Context"], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a handler may know of the invocation it runs in.

    ``idempotency_key`` stays the same over all attempts of a task: hand it to services outside,
    since an attempt may be repeated. ``remaining`` tells the seconds left until the time limit.
    ``heartbeat``, called now and then in long work, renews the lease; it raises Stopped (let it
    pass) when the task was cancelled or somebody newer works it, and StoreUnavailable.
    ``payload`` is the task's payload as the model that the handler was registered with. ``trace``
    holds the headers that name the trace which the attempt belongs to.

    A handler that still runs shortly before the time limit is interrupted by TimedOut: it may clean
    up, and lets it pass.
    """

    idempotency_key: str
    remaining: Callable[[], float]
    heartbeat: Callable[[], None]
    payload: Any = None
    trace: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """Handlers by kind."""

    def __init__(self) -> None:
        """Begin empty."""
        self._handlers: dict[str, Handler] = {}
        self._payloads: dict[str, type[BaseModel]] = {}

    def handler(
        self, kind: str, *, payload: type[BaseModel] | None = None
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function for tasks of ``kind``.

        It takes the task and a Context and returns any JSON value. A task is only taken if its
        payload (``{}`` if it has none) fits the model ``payload``. Raises DuplicateHandler.
        """

        def register(function: Handler) -> Handler:
            if kind in self._handlers:
                raise DuplicateHandler(f"Two handlers are registered for {kind!r}.")
            self._handlers[kind] = function
            if payload is not None:
                self._payloads[kind] = payload
            return function

        return register

    def run(self, task: Task, context: Context) -> Any:
        """Do the work of one task and return what its handler returned.

        Raises UnknownKind, GiveUp for a payload that does not fit the kind's model, and whatever
        the handler raises.
        """
        if task.kind not in self._handlers:
            raise UnknownKind(f"No handler is registered for {task.kind!r}.")
        if task.kind in self._payloads:
            context = replace(context, payload=self._fitting(task))
        return self._handlers[task.kind](task, context)

    def read(self, kind: str, payload: Any) -> BaseModel | None:
        """Return a payload as its kind's model, if it has one; raises ValidationError."""
        model = self._payloads.get(kind)
        if model is None:
            return None
        return model.model_validate_json(json.dumps({} if payload is None else payload))

    def handler_of(self, kind: str) -> Handler:
        """Return the function that works ``kind``."""
        return self._handlers[kind]

    def payload_of(self, kind: str) -> type[BaseModel] | None:
        """Return the model of the payload of ``kind``, if it has one."""
        return self._payloads.get(kind)

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind that has a handler."""
        return frozenset(self._handlers)

    @property
    def declares(self) -> bool:
        """Whether any kind has a model of its payload."""
        return bool(self._payloads)

    def _fitting(self, task: Task) -> BaseModel | None:
        # The task may be older than the model.
        try:
            return self.read(task.kind, task.payload)
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False, include_input=False)
            place = ".".join(str(step) for step in first["loc"]) or "as a whole"
            raise GiveUp(f"The payload does not fit: {place}: {first['msg']}.") from None


#: The one that handlers/ fills; other registries are made by tests.
registry = Registry()
handler = registry.handler
