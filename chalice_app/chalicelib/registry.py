"""Which handler works which kind of task."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.context import Context
from chalicelib.errors import DuplicateHandler, GiveUp, InvalidPolicy, UnknownKind
from chalicelib.policy import USUAL, Backoff, Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from chalicelib.task import Task

    Handler = Callable[["Task", Context[Any]], Any]

#: The longest name of a kind, in characters.
MAX_KIND = 100

__all__ = ["Backoff", "Context", "Handler", "Registry", "handler", "registry"]


class Registry:
    """Handlers by kind."""

    def __init__(self) -> None:
        """Begin empty."""
        self._handlers: dict[str, Handler] = {}
        self._payloads: dict[str, type[BaseModel]] = {}
        self._policies: dict[str, Policy] = {}

    def handler(
        self,
        kind: str,
        *,
        payload: type[BaseModel] | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        backoff: Backoff | None = None,
        concurrent: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function for tasks of ``kind``.

        It takes the task and a Context and returns any JSON value. A task is only taken if its
        payload (``{}`` if it has none) fits the model ``payload``. The other options are those of
        Policy. Raises DuplicateHandler and InvalidPolicy.
        """
        policy = Policy(attempts=attempts, timeout=timeout, backoff=backoff, concurrent=concurrent)

        if not isinstance(kind, str) or not 1 <= len(kind) <= MAX_KIND or "\0" in kind:
            raise InvalidPolicy(f"A kind is a name of 1 to {MAX_KIND} characters, not {kind!r}.")

        def register(function: Handler) -> Handler:
            if kind in self._handlers:
                raise DuplicateHandler(f"Two handlers are registered for {kind!r}.")
            if iscoroutinefunction(function):
                raise InvalidPolicy(f"The handler of {kind!r} is async; a plain def is called.")
            self._handlers[kind] = function
            self._policies[kind] = policy
            if payload is not None:
                self._payloads[kind] = payload
            return function

        return register

    def run(self, task: Task, context: Context[Any]) -> Any:
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

    def policy_of(self, kind: str) -> Policy:
        """Return how tasks of ``kind`` are tried."""
        return self._policies.get(kind, USUAL)

    def check(self, longest: float) -> None:
        """Raise InvalidPolicy if an attempt may take longer than ``longest`` seconds."""
        for kind, policy in self._policies.items():
            if policy.timeout is not None and policy.timeout > longest:
                raise InvalidPolicy(
                    f"The handler of {kind!r} may take {policy.timeout:g} s, but an invocation of "
                    f"the worker has {longest:g} s for it; raise WORKER_TIMEOUT and lambda_timeout."
                )

    @property
    def attempts(self) -> dict[str, int]:
        """The attempt limits of new tasks, where a kind has its own."""
        limits = {kind: policy.attempts for kind, policy in self._policies.items()}
        return {kind: limit for kind, limit in limits.items() if limit is not None}

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
