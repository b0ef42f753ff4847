"""Explores every state that a model can reach, breadth first, and explains what it finds."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

S = TypeVar("S", bound="Hashable")


class Move(NamedTuple, Generic[S]):
    """One step: what happened, where it leads, and which rule it broke (none: None).

    ``chance`` marks bad luck and wishes of clients: nothing may depend on their happening.
    """

    name: str
    state: S
    chance: bool = False
    broken: str | None = None


class Model(Protocol[S]):
    def start(self) -> S: ...

    def moves(self, state: S) -> Iterable[Move[S]]: ...

    def settled(self, state: S) -> bool: ...


@dataclass(slots=True, kw_only=True)
class Findings:
    """What an exploration found; every trace is a shortest one."""

    states: int = 0
    seconds: float = 0.0
    #: By broken rule: the moves that lead to it.
    broken: dict[str, list[str]] = field(default_factory=dict)
    #: States from which nothing but luck leads to a settled one, and the moves to the nearest.
    stuck: int = 0
    stuck_trace: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.states:,} states in {self.seconds:.1f} s"]
        for rule, trace in self.broken.items():
            lines += [f"broken: {rule}", *(f"    {name}" for name in trace)]
        if self.stuck:
            lines += [f"{self.stuck:,} states are stuck; the nearest:"]
            lines += [f"    {name}" for name in self.stuck_trace]
        return "\n".join(lines)


class _Graph(Generic[S]):
    # States by number, how each was first reached, and the moves that may be relied on, backwards.
    def __init__(self, start: S) -> None:
        self.numbers: dict[S, int] = {start: 0}
        self.states: list[S] = [start]
        self.reached: list[tuple[int, str]] = [(0, "")]
        self.sources: list[list[int]] = [[]]

    def number(self, state: S, source: int, name: str) -> int:
        known = self.numbers.setdefault(state, len(self.states))
        if known == len(self.states):
            self.states.append(state)
            self.reached.append((source, name))
            self.sources.append([])
        return known

    def trace(self, number: int) -> list[str]:
        names: list[str] = []
        while number:
            number, name = self.reached[number]
            names.append(name)
        return names[::-1]


def explore(model: Model[S], *, until: str | None = None, most: int = 2_000_000) -> Findings:
    """Visit every reachable state, or as many as it takes to see the rule ``until`` broken.

    Raises OverflowError when there are more than ``most``.
    """
    with _without_garbage_collection():
        return _explore(model, until, most)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    # Nothing here is garbage before the end, and looking for it takes a fifth of the time.
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _explore(model: Model[S], until: str | None, most: int) -> Findings:
    begun, findings, graph = time.monotonic(), Findings(), _Graph(model.start())
    here = 0
    while here < len(graph.states) and until not in findings.broken:
        for move in model.moves(graph.states[here]):
            if move.broken:
                findings.broken.setdefault(move.broken, [*graph.trace(here), move.name])
                continue
            there = graph.number(move.state, here, move.name)
            if not move.chance:
                graph.sources[there].append(here)
        here += 1
        if here > most:
            raise OverflowError(f"The model has more than {most:,} states.")
    if until not in findings.broken:
        _find_stuck(model, graph, findings)
    findings.states, findings.seconds = len(graph.states), time.monotonic() - begun
    return findings


def _find_stuck(model: Model[S], graph: _Graph[S], findings: Findings) -> None:
    # Backwards from the settled states: whatever is not met cannot reach one.
    safe = [model.settled(state) for state in graph.states]
    wave = deque(number for number, settled in enumerate(safe) if settled)
    while wave:
        for source in graph.sources[wave.popleft()]:
            if not safe[source]:
                safe[source] = True
                wave.append(source)
    stuck = [number for number, reaches in enumerate(safe) if not reaches]
    findings.stuck = len(stuck)
    if stuck:
        findings.stuck_trace = graph.trace(stuck[0])
