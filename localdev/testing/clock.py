"""The clock that handlers see."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import time_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def frozen(moment: datetime | str) -> Iterator[Callable[[float], None]]:
    """Let the clock of this process stand at ``moment``, as datetime and time tell it.

    ``moment`` has its offset (``"2026-11-30T08:00Z"``); ValueError if not. What it gives moves the
    clock on by so many seconds. A database has a clock of its own.
    """
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    if at.tzinfo is None:
        raise ValueError(f"A moment has an offset (+00:00), which {at} lacks.")
    with time_machine.travel(at, tick=False) as traveller:
        yield traveller.shift
