"""What a test gives to the handlers it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.registry import Registry
    from chalicelib.settings import Settings


class NotGiven(Exception):
    """The handler asked its context for what the test did not give."""


class Given(TypedDict, total=False):
    """What a test may give, each by its name; what is left out is as it usually is.

    ``attempt`` is the number of the first attempt, ``steps`` the values of steps that earlier ones
    made, ``seconds`` the time that an attempt has, ``tenant`` whose task it is. ``task`` holds
    other values of POST /tasks (title, tags). ``stopped``: a heartbeat finds the task cancelled.

    ``clients`` are returned by context.client, by their names. ``sql`` is called in the place of
    ``context.transaction().execute``, ``query`` in that of ``context.query``. ``database``, a libpq
    URL, gives both: the transaction is a real one and is committed if the handler returns.

    ``settings`` and ``registry`` are those of the service; without them, all settings have their
    defaults and the handlers are those in chalicelib/handlers.
    """

    attempt: int
    steps: Mapping[str, Any]
    seconds: float
    tenant: str
    task: Mapping[str, Any]
    stopped: bool
    clients: Mapping[str, Any]
    sql: Callable[..., list[dict[str, Any]]]
    query: Callable[..., list[dict[str, Any]]]
    database: str
    settings: Settings
    registry: Registry
