"""How the tasks of a kind are tried: what a handler is registered with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import LONGEST_WAIT, InvalidPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

#: The most attempts that a kind may ask for.
MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts, in seconds: the first is ``base``, then they double, spread ±25 %.

    Source: "Timeouts, retries, and backoff with jitter", Amazon Builders' Library.
    """

    base: float
    longest: float
    roll: Callable[[], float] = random.random

    def after(self, attempt: int) -> float:
        """Return how long to wait after attempt number ``attempt`` (the first is 1)."""
        wait = min(self.longest, self.base * 2.0 ** min(attempt - 1, 60))
        spread = 1.0 if attempt == 1 else 0.75 + self.roll() / 2
        return min(self.longest, wait * spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a kind asks for; None is what the settings say.

    ``attempts``: the attempt limit of a new task. ``timeout``: how many seconds an attempt may
    take. ``backoff``: the waits between attempts. ``concurrent``: whether tasks of the kind may
    run beside others of their batch, in threads. Raises InvalidPolicy for what cannot be.
    """

    attempts: int | None = None
    timeout: float | None = None
    backoff: Backoff | None = None
    concurrent: bool = False

    def __post_init__(self) -> None:
        """Hold every part to its sort and its bounds."""
        for name, value, sorts in (
            ("attempts", self.attempts, int),
            ("timeout", self.timeout, int | float),
            ("backoff", self.backoff, Backoff),
        ):
            if value is not None and not isinstance(value, sorts):
                raise InvalidPolicy(f"{name} cannot be {value!r}.")
        if self.attempts is not None and not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise InvalidPolicy(f"attempts is 1 to {MOST_ATTEMPTS}, not {self.attempts}.")
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidPolicy(f"timeout is above 0 s, not {self.timeout}.")
        if self.backoff and not 0 <= self.backoff.base <= self.backoff.longest <= LONGEST_WAIT:
            raise InvalidPolicy(
                "backoff: base is at least 0 s, and longest no shorter, and at most "
                f"{LONGEST_WAIT} s."
            )


#: What the settings say, in everything.
USUAL = Policy()
