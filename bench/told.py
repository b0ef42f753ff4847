"""What the runs end to end told: a row for each service and load, and the budgets."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.budgets import FLOOR, OURS, PLAIN, Budget
from bench.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.whole import Load, Run

#: A task's time, of the plain service's; and the seconds after which an answer is a stall.
SINGLE, HUNDRED, STALL = 1 / 4, 1 / 20, 5.0


@dataclass(frozen=True)
class Summed:
    """What the runs of a service under a load come to; times are seconds."""

    service: str
    load: Load
    p50: float
    p99: float
    slowest: float
    #: Answers of 5xx, or none at all.
    broken: int
    #: Of a task, from the first POST to the last task's end; without any that ended, for ever.
    task: float

    def row(self) -> dict[str, Any]:
        """Return it for a report."""
        return {
            "who": self.service,
            "POSTs": self.load.name,
            "clients": self.load.clients,
            "POST p50 ms": self.p50 * 1000,
            "POST p99 ms": self.p99 * 1000,
            "slowest s": self.slowest,
            "5xx or no answer": self.broken,
            "tasks/s": 1 / self.task,
        }


def summed(runs: Sequence[Run]) -> list[Summed]:
    """Return medians over the rounds; the slowest and the broken are of all of them."""
    together: dict[tuple[str, Load], list[Run]] = defaultdict(list)
    for run in runs:
        together[run.service, run.load].append(run)
    return [_sum(service, load, those) for (service, load), those in together.items()]


def _sum(service: str, load: Load, runs: Sequence[Run]) -> Summed:
    times = [seconds for run in runs for seconds in run.posted.times]
    return Summed(
        service,
        load,
        p50=statistics.median(statistics.median(run.posted.times) for run in runs),
        p99=percentile(times, 99),
        slowest=max(times),
        broken=sum(run.posted.broken for run in runs),
        task=statistics.median(run.seconds / run.tasks if run.tasks else math.inf for run in runs),
    )


def budgets(told: Sequence[Summed]) -> list[Budget]:
    """Return what ours is held to; beside it stands what the plain service does."""
    plain = {one.load.clients: one for one in told if one.service == PLAIN}
    ours = [one for one in told if one.service == OURS]
    bare = {one.load: one.task for one in told if one.service == FLOOR}
    crowds = [one for one in ours if one.load.clients > 1]
    stalled = [one for one in plain.values() if one.load.clients > 1]
    times = [
        Budget(
            f"end to end, {one.load.title}: time per task, of the plain's",
            one.task / plain[one.load.clients].task,
            SINGLE if one.load.together == 1 else HUNDRED,
            floor=bare[one.load] / plain[1].task if one.load in bare else None,
        )
        for one in ours
    ]
    return [
        *times,
        Budget(
            "end to end, many clients: answers of 5xx, or none",
            sum(one.broken for one in crowds),
            0,
            plain=sum(one.broken for one in stalled),
        ),
        Budget(
            "end to end, many clients: the slowest answer, s",
            max(one.slowest for one in crowds),
            STALL,
            plain=max(one.slowest for one in stalled),
        ),
    ]
