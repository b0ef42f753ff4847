"""The parts that say no: buckets, Lambda's concurrency, the mapping's, the database's cores."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def __init__(self, limits: Limits, reserves: Mapping[str, float]) -> None:
        """Begin without a process; ``reserves`` bounds how many of a function run at once."""
        self._limits, self._reserves = limits, reserves
        #: Since when each idle process has been so; the last to end is the first to be used.
        self._idle: dict[str, deque[float]] = {name: deque() for name in reserves}
        self._growth = {name: Bucket(limits.growth, limits.growth_burst) for name in reserves}
        requests = limits.account * limits.requests_each
        self._requests = Bucket(requests, requests)
        self._running = dict.fromkeys(reserves, 0)
        self.processes = 0

    @property
    def running(self) -> int:
        """How many invocations there are."""
        return sum(self._running.values())

    def refuses(self, now: float, function: str, *, unconnected: bool = False) -> str:
        """Return what keeps a function from being invoked; nothing if nothing does.

        ``unconnected`` says that it is invoked even if its process will get no connection.
        """
        self._forget(now)
        if self.running >= self._limits.account:
            return "account"
        if self._running[function] >= self._reserves[function]:
            return "reserve"
        if not self._requests.has(now):
            return "invocations"
        if self._idle[function]:
            return ""
        if not self._growth[function].has(now):
            return "growth"
        full = self.processes >= self._limits.connections
        return "connections" if full and not unconnected else ""

    def begin(self, function: str) -> bool | None:
        """Invoke a function; tell whether in a new process, None if that gets no connection."""
        self._requests.take()
        if self._idle[function]:
            self._idle[function].pop()
            self._running[function] += 1
            return False
        self._growth[function].take()
        if self.processes >= self._limits.connections:
            return None
        self.processes += 1
        self._running[function] += 1
        return True

    def end(self, now: float, function: str) -> None:
        """Note that an invocation ended; its process waits for another."""
        self._running[function] -= 1
        self._idle[function].append(now)

    def _forget(self, now: float) -> None:
        for idle in self._idle.values():
            while idle and now - idle[0] > self._limits.idle:
                idle.popleft()
                self.processes -= 1


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
