"""Lets contestants take turns, and sums up what they told."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.lane import Case, Count, CountedLane, Lane, Run
from bench.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.stage import Home, Stage

CREATE, BATCH, SEND = "create one", "create 1,000", "send one"
WORK = {1: "work 1", 10: "work 10", 100: "work 100"}
#: Least seconds between two lines that tell how far it is.
_TELL_EVERY = 2.0


def cases(*, smoke: bool) -> list[Case]:
    """Return what is measured; for a smoke test as little as there can be."""
    if smoke:
        return [
            Case(CREATE, "create", 1, 2),
            Case(SEND, "send", 1, 2),
            Case(BATCH, "create", 20, 1),
            *(Case(name, "work", batch, 2, "worker") for batch, name in WORK.items()),
        ]
    return [
        Case(CREATE, "create", 1, 200),
        Case(SEND, "send", 1, 200),
        Case(BATCH, "create", 1000, 3, fewer=(("plain", 1),)),
        Case(WORK[1], "work", 1, 100, "worker"),
        Case(WORK[10], "work", 10, 50, "worker", fewer=(("plain", 10),)),
        Case(WORK[100], "work", 100, 20, "worker", fewer=(("plain", 1),)),
    ]


@dataclass(frozen=True)
class Cell:
    """A contestant in a case: milliseconds, a task's share of them, and what it said for a task.

    ``p50`` and ``task`` are medians over the rounds, ``p99`` is of all calls of all rounds and of
    fewer than a hundred the slowest; ``memory`` is the most that its process had until then, in MB.
    """

    case: str
    name: str
    p50: float
    p99: float
    task: float
    cpu: float
    statements: float
    by_server: float
    round_trips: float
    connections: float
    aws_calls: float
    memory: float
    calls: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def measured(
    stage: Stage,
    homes: Sequence[Home],
    chosen: Sequence[Case],
    rounds: int,
    say: Callable[[str], None],
) -> list[Cell]:
    """Return a cell for each contestant in each case. Raises StackError if one fails."""
    cells: list[Cell] = []
    for role in dict.fromkeys(case.role for case in chosen):
        with contextlib.ExitStack() as stack:
            lanes = [stack.enter_context(Lane(home, role)) for home in homes]
            counted = {home.name: stack.enter_context(CountedLane(home, role)) for home in homes}
            for case in chosen:
                if case.role != role:
                    continue
                taking_part = [
                    lane for lane in lanes if case.what != "send" or lane.name == "floor"
                ]
                told = _rounds(stage, taking_part, case, rounds, say)
                cells += [_cell(case, n, runs, counted[n].count(case)) for n, runs in told.items()]
    return cells


def _rounds(
    stage: Stage, lanes: Sequence[Lane], case: Case, rounds: int, say: Callable[[str], None]
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {lane.name: [] for lane in lanes}
    told = time.monotonic()
    for lane in lanes:
        lane.run(*case.warming(lane.name))
    for turn in range(rounds):
        stage.rest()
        for lane in lanes:
            runs[lane.name].append(lane.run(case, case.calls_of(lane.name)))
            if time.monotonic() - told > _TELL_EVERY:
                say(f"{case.name}: round {turn + 1} of {rounds}, {lane.name} …")
                told = time.monotonic()
    return runs


def _cell(case: Case, name: str, runs: Sequence[Run], count: Count) -> Cell:
    share = 1000 / (case.calls_of(name) * case.batch)
    everything = [seconds for run in runs for seconds in run.times]
    return Cell(
        case.name,
        name,
        p50=statistics.median(statistics.median(run.times) for run in runs) * 1000,
        p99=percentile(everything, 99) * 1000,
        task=statistics.median(sum(run.times) for run in runs) * share,
        cpu=statistics.median(run.cpu for run in runs) * share,
        statements=count.statements,
        by_server=count.by_server,
        round_trips=count.round_trips,
        connections=count.connections,
        aws_calls=count.aws_calls,
        memory=max(run.memory for run in runs) / 1e6,
        calls=len(everything),
    )
