"""What a task of the soak does: an effect outside, then an end that the seed decides."""

from __future__ import annotations

import contextlib
import os
import random
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSIENT, PERMANENT, SNOOZE, SLOW, OVERTIME = 0.05, 0.005, 0.01, 0.01, 0.0005
ZOMBIE = 500  # of so many tasks one outlives its lease, in its first attempt
LONGEST = 0.005  # seconds that a task works for, unless it is slow
SLOWLY = 0.3  # seconds that a slow one works for
BEAT = 0.1  # seconds after which it renews its lease
_MEETING = ("zombie", "successor")

_EFFECT = """
insert into effects (run, task_id, attempt) values (%s, %s, %s) on conflict (run) do nothing
"""


@dataclass(frozen=True)
class Ending:
    """How an attempt ends.

    One of done, transient, permanent, snooze, slow, overtime, zombie and successor.
    """

    name: str
    seconds: float


def ending(seed: int, task_id: int, attempt: int) -> Ending:
    """Return what the seed has in store for an attempt; every run of the soak agrees on it.

    What comes after a zombie lasts until the zombie is back: only then can the older write over
    the newer.
    """
    if task_id % ZOMBIE == ZOMBIE // 2 and attempt <= len(_MEETING):
        return Ending(_MEETING[attempt - 1], 0)
    dice = random.Random(f"{seed}:{task_id}:{attempt}")
    seconds, roll = dice.random() * LONGEST, dice.random()
    for name, share in (
        ("transient", TRANSIENT),
        ("permanent", PERMANENT),
        ("snooze", SNOOZE),
        ("slow", SLOW),
        ("overtime", OVERTIME),
    ):
        if roll < share:
            return Ending(name, seconds)
        roll -= share
    return Ending("done", seconds)


class Effects:
    """The world outside: each run of a handler leaves one row there, in its own transaction."""

    def __init__(self) -> None:
        """Connect on first use."""
        self._connection: Any = None

    def leave(self, task_id: int, attempt: int, remaining: Callable[[], float]) -> str:
        """Leave an effect and return the run's name. Raises psycopg2.Error near the time limit."""
        run = str(uuid.uuid4())
        while True:
            try:
                with self._connected().cursor() as cursor:
                    cursor.execute(_EFFECT, (run, task_id, attempt))
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._close()
                if remaining() < 1:
                    raise
                time.sleep(0.05)
            else:
                return run

    def _connected(self) -> Any:
        if self._connection is None:
            url = os.environ["SOAK_EFFECTS_URL"]
            self._connection = psycopg2.connect(
                url, connect_timeout=2, application_name="soak-effects"
            )
            self._connection.autocommit = True
        return self._connection

    def _close(self) -> None:
        with contextlib.suppress(psycopg2.Error, AttributeError):
            self._connection.close()
        self._connection = None


effects = Effects()


def result(task_id: int, attempt: int, run: str) -> dict[str, Any]:
    """Return a result that names the attempt and the run it comes from."""
    return {"task": task_id, "attempt": attempt, "run": run}
