"""The parts that say no: buckets, Lambda's concurrency, the mapping's, the database's cores."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.simulate.given import Limits


class Bucket:
    """A bucket of tokens: ``rate`` come in a second, and it holds ``size``."""

    def __init__(self, rate: float, size: float) -> None:
        """Begin full."""
        self._rate, self._size = rate, size
        self._held, self._seen = size, 0.0

    def has(self, now: float) -> bool:
        """Tell whether a token is there."""
        self._held = min(self._size, self._held + (now - self._seen) * self._rate)
        self._seen = now
        return self._held >= 1

    def take(self) -> None:
        """Take one that is there."""
        self._held -= 1

    def refuses(self, now: float, name: str) -> str:
        """Take a token and return nothing, or return ``name`` if there is none."""
        if not self.has(now):
            return name
        self.take()
        return ""


class Account:
    """Lambda's processes in an account, each of which holds one connection once it was begun."""

    def __init__(self, limits: Limits, functions: Iterable[str]) -> None:
        """Begin without a process."""
        self._limits = limits
        self._idle = dict.fromkeys(functions, 0)
        self._growth = {name: Bucket(limits.growth, limits.growth_burst) for name in self._idle}
        self._requests = Bucket(
            limits.account * limits.requests_each, limits.account * limits.requests_each
        )
        self.running = 0
        self.processes = 0

    def refuses(self, now: float, function: str, *, full: str = "connections") -> str:
        """Return what keeps a function from being invoked; nothing if nothing does.

        With ``full="keep"`` a process that gets no connection may be begun all the same.
        """
        if self.running >= self._limits.account:
            return "account"
        if not self._requests.has(now):
            return "invocations"
        if self._idle[function]:
            return ""
        if not self._growth[function].has(now):
            return "growth"
        if self.processes >= self._limits.connections and full != "keep":
            return full
        return ""

    def begin(self, now: float, function: str) -> bool | None:  # noqa: ARG002  (see refuses)
        """Invoke a function; tell whether in a new process, None if that gets no connection."""
        if self._idle[function]:
            self._requests.take()
            self._idle[function] -= 1
            self.running += 1
            return False
        self._requests.take()
        self._growth[function].take()
        if self.processes >= self._limits.connections:
            return None
        self.processes += 1
        self.running += 1
        return True

    def end(self, function: str) -> None:
        """Note that an invocation ended; its process waits for another."""
        self.running -= 1
        self._idle[function] += 1


class Pollers:
    """The mapping: how many batches it works at once, and what it has received."""

    def __init__(self, limits: Limits, maximum: int | None) -> None:
        """Begin with as many as AWS says, and no more than the maximum concurrency."""
        self._most = limits.mapping_most if maximum is None else maximum
        self._least = float(min(limits.mapping_start, self._most))
        self._growth = limits.mapping_growth
        self._allowed = self._least
        self.running = 0
        self.in_flight = 0

    def look(self, *, waiting: bool) -> None:
        """Let a second pass: more pollers while messages wait, fewer while none do."""
        change = self._growth if waiting else -self._growth
        self._allowed = max(self._least, min(float(self._most), self._allowed + change))

    def blocked(self) -> str:
        """Return what keeps another batch from being received."""
        if self.running < int(self._allowed):
            return ""
        return "maximum concurrency" if self._allowed >= self._most else "mapping's growth"

    def begin(self, messages: int) -> None:
        """Receive so many messages."""
        self.running += 1
        self.in_flight += messages

    def end(self, messages: int) -> None:
        """Delete so many messages."""
        self.running -= 1
        self.in_flight -= messages


class Cores:
    """The database's cores: statements in the order in which they come."""

    def __init__(self, cores: float) -> None:
        """Take their number; infinitely many never make a statement wait."""
        self._free = [] if math.isinf(cores) else [0.0] * int(cores)

    def free(self, now: float) -> float:
        """Return when the next core is free."""
        return max(now, self._free[0]) if self._free else now

    def take(self, begin: float, seconds: float) -> float:
        """Use it from then on, and return when the statement ends."""
        if self._free:
            heapq.heapreplace(self._free, begin + seconds)
        return begin + seconds
