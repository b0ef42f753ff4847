"""Contexts for what is called without a worker."""

from __future__ import annotations

import time
from typing import Any

from chalicelib.context import Context
from chalicelib.settings import Settings


def context(*, seconds: float = 10, powers: Any = None) -> Context[Any]:
    """Return the context of an attempt that has so many seconds left, and these powers or none."""
    return Context(
        idempotency_key="task-1",
        deadline=time.monotonic() + seconds,
        attempt=1,
        tenant="default",
        settings=Settings(),
        powers=powers,
        payload=None,
    )
