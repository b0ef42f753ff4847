"""Holds the simulator against the local stack: the same tasks in both, and what each tells."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from bench.percentiles import percentile
from bench.simulate.engine import Simulation
from bench.simulate.given import Limits, Stage, Statements
from bench.simulate.report import shown, table
from tests.e2e.stack import Stack, copy_tree, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

HANDLER = """
import time

from chalicelib.registry import handler

@handler("sleeps")
def sleeps(task, context):
    time.sleep(task.payload["seconds"])
"""
#: Tasks, seconds of a handler, batch.
CASES = ((400, 0.05, 10), (400, 0.05, 1), (60, 1.0, 10), (60, 1.0, 1))
WORKERS = 4
RUNS = 3
_TOLD = """
select extract(epoch from created_at) as made, extract(epoch from started_at) as began,
       extract(epoch from finished_at) as done
from tasks where kind = 'sleeps' and status = 'completed' order by id
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a case: seconds from the first task's creation."""

    drained: float
    waits: list[float]
    made: list[float]
    #: What a request took, on average.
    request: float

    def cells(self) -> list[str]:
        """Return what is printed of it."""
        return [shown(self.drained), *(shown(percentile(self.waits, part)) for part in (50, 99))]


def main() -> int:
    """Print both, case by case."""
    beside = measured_beside()
    print(f"a batch takes {beside * 1e3:.0f} ms beside its handlers and statements\n")
    for line in table(["", "drained after", "claimed after, p50", "p99"], _rows(beside)):
        print(line, flush=True)
    return 0


def measured_beside() -> float:
    """Return what a batch takes beside statements and handlers: the queue's calls, our worker.

    From handlers that take no time, one task to a batch, by one worker: more of them would
    contend for this machine's cores as they do not where handlers wait.
    """
    tasks, takes = 400, Statements()
    each = measured(tasks, 0, 1, workers=1).drained / tasks
    return max(0.0, each - sum(takes.claim) - sum(takes.settle))


def _rows(beside: float) -> Iterator[list[str]]:
    for tasks, handler, batch in CASES:
        title = f"{tasks} tasks of {handler:g} s, {WORKERS} workers, batch {batch}"
        runs = [measured(tasks, handler, batch) for _ in range(RUNS)]
        seen = sorted(runs, key=lambda one: one.drained)[RUNS // 2]
        span = f"{min(one.drained for one in runs):.3g} to {max(one.drained for one in runs):.3g} s"
        yield [f"{title}: measured, the middle one of {RUNS} ({span})", *seen.cells()]
        yield [f"{title}: simulated", *simulated(seen, handler, batch, beside).cells()]


def measured(tasks: int, handler: float, batch: int, *, workers: int = WORKERS) -> Seen:
    """Post them by the hundred to a stack of their own, and read what became of them."""
    with tempfile.TemporaryDirectory(prefix="tasks-scale-") as name:
        folder = copy_tree(Path(name))
        (folder / "chalice_app/chalicelib/handlers/sleeps.py").write_text(HANDLER)
        flags = ("--workers", str(workers))
        with Stack(folder, *flags, BATCH_SIZE=str(batch)) as stack:
            begun = time.monotonic()
            for start in range(0, tasks, 100):
                one = {"kind": "sleeps", "title": "sleeps", "payload": {"seconds": handler}}
                body = {"tasks": [one] * min(100, tasks - start)}
                status, answer = stack.call("POST", "/tasks/batch", body)
                if status != 201:  # noqa: PLR2004
                    raise RuntimeError(f"{status}: {answer}")
            request = (time.monotonic() - begun) / -(-tasks // 100)
            url = stack.environ()["DATABASE_URL"]
            seen: Seen = eventually(lambda: _seen(url, tasks, request), 60 + 5 * tasks * handler)
            return seen


def _seen(url: str, tasks: int, request: float) -> Seen | None:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_TOLD)
            rows = [tuple(map(float, row)) for row in cursor.fetchall()]
    finally:
        connection.close()
    if len(rows) < tasks:
        return None
    first = rows[0][0]
    return Seen(
        drained=max(done for _, _, done in rows) - first,
        waits=[began - made for made, began, _ in rows],
        made=[made - first for made, _, _ in rows],
        request=request,
    )


def simulated(seen: Seen, handler: float, batch: int, beside: float) -> Seen:
    """Simulate the same requests, with workers that run already and two cores."""
    stage = Stage(
        handler=handler,
        batch=batch,
        maximum=WORKERS,
        request=seen.request,
        beside=beside,
        cold=0,
        timeout=360,
    )
    limits = Limits(cores=2, mapping_start=WORKERS, gateway_burst=1e9, gateway_rate=1e9)
    free = Statements(create=(0, 0))  # ``made`` is when the statement that made it began
    told = Simulation(stage, limits, free).run(Counter(seen.made).items())
    return replace(seen, drained=told.drained, waits=list(told.claimed))
