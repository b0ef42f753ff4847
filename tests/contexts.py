"""Contexts for handlers that are called without a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chalicelib.context import Context
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


class FakePowers:
    """Powers of nobody: only a heartbeat does what it is told to."""

    def __init__(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        self.steps: dict[str, Any] = {}
        self.heartbeat = heartbeat

    def renew(self, **_kept: Any) -> None:
        self.heartbeat()

    def begin(self) -> Any:
        raise NotImplementedError

    def enqueue(self, values: dict[str, Any]) -> None:
        raise NotImplementedError

    def query(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        raise NotImplementedError

    def client(self, service: str) -> Any:
        raise NotImplementedError


def context(*, seconds: float = 10, powers: Any = None) -> Context[Any]:
    """Return the context of an attempt that has so many seconds left."""
    return Context(
        idempotency_key="task-1",
        deadline=time.monotonic() + seconds,
        attempt=1,
        tenant="default",
        settings=Settings(),
        powers=powers or FakePowers(),
        payload=None,
    )
