"""Tries a statement again while the database is away, as long as the invocation allows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from chalicelib.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.worker.batch import Invocation

T = TypeVar("T")

#: Waits, in seconds, between the tries: results cost work, and a receive cannot be given back.
PERSISTENCE = (0.1, 0.4, 1.5, 3.0)


def persist(act: Callable[[], T], invocation: Invocation, reserve: float) -> T:
    """Return what ``act`` returns; raises StoreUnavailable when the database stays away.

    ``act`` is safe to repeat: it carries a token. ``reserve`` is the time in seconds that is to
    be left of the invocation.
    """
    for wait in PERSISTENCE:
        try:
            return act()
        except StoreUnavailable:
            if invocation.remaining() < wait + reserve:
                raise
            time.sleep(wait)
    return act()
