"""Declares a route: who may ask, what is taken, what is answered."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import BaseModel

from chalicelib.errors import ServiceError
from chalicelib.web.answers import shown
from chalicelib.web.call import Call
from chalicelib.web.problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Chalice, Request, Response

    from chalicelib.access import Scope

Sent = TypeVar("Sent", bound=BaseModel | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route's view was declared with; found on it as ``operation``.

    ``scope`` is None where no key is asked for. ``takes`` is the model of the body, or of the
    query where the method is GET. ``keyed``: Idempotency-Key is heeded; ``waits``: Prefer: wait;
    ``conditional``: If-Match.
    """

    scope: Scope | None
    takes: type[BaseModel] | None
    status: int
    keyed: bool
    waits: bool
    conditional: bool


def endpoint(
    app: Chalice,
    *,
    scope: Scope | None = None,
    takes: type[Sent] | None = None,
    status: int = 200,
    keyed: bool = False,
    waits: bool = False,
    conditional: bool = False,
) -> Callable[[Callable[[Call[Sent]], BaseModel | None]], Callable[..., Response]]:
    """Let a view take a Call, return a model and raise errors; answer in JSON either way.

    A view that returns None has nothing to show (204).
    """
    operation = Operation(
        scope=scope,
        takes=cast("type[BaseModel] | None", takes),
        status=status,
        keyed=keyed,
        waits=waits,
        conditional=conditional,
    )

    def decorate(view: Callable[[Call[Sent]], BaseModel | None]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**arguments: str) -> Response:
            request = cast("Request", app.current_request)
            call = Call[Sent](request, arguments, takes)
            try:
                return shown(view(call), call, operation.status, waits=waits)
            except ServiceError as error:
                return problem(error, request)
            except Exception as error:  # noqa: BLE001  (Chalice would show it as plain text)
                return problem(_unexpected(error), request)

        answer.operation = operation  # type: ignore[attr-defined]
        return answer

    return decorate


def _unexpected(error: Exception) -> ServiceError:
    wrapped = ServiceError()
    wrapped.__cause__ = error
    return wrapped.with_traceback(error.__traceback__)
