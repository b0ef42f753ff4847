"""How long claim, finish and list take as the table of finished tasks grows."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import psycopg2

from bench.budgets import Budget
from bench.lane import Case, Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.stage import Stage

SIZES, SMOKE_SIZES = (10_000, 100_000, 1_000_000), (100, 200)
BOUND = 1.2
_FILL = """
insert into tasks (title, description, status, attempt, created_at, updated_at, started_at,
                   finished_at, result)
select 'Task ' || n, 'What every task says.', 'completed', 1,
       now() - make_interval(secs => %(rows)s - n), now(), now(), now(), '"done"'
  from generate_series(1, %(rows)s) as n
"""
_CASES = (
    Case("work 10 among finished", "work", 10, 100, "worker"),
    Case("list among finished", "list", 1, 100, "api"),
)
_STATEMENTS = {"claim_tasks": "claim", "settle_attempts": "finish", "list_tasks": "list"}


def measured(
    stage: Stage, sizes: Sequence[int], rounds: int, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], list[Budget]]:
    """Return a row for each statement, and its budget. Raises StackError if one fails."""
    homes = {}
    for size in sizes:
        say(f"filling a table with {size:,} finished tasks …")
        homes[size] = stage.ours(f"ours_{size}", BENCH_STATEMENTS="on")
        _fill(homes[size].environ["DATABASE_URL"], size)
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    for case in _CASES:
        with contextlib.ExitStack() as stack:
            lanes = {n: stack.enter_context(Lane(home, case.role)) for n, home in homes.items()}
            for lane in lanes.values():
                lane.run(*case.warming(lane.name))
            for turn in range(rounds):
                say(f"{case.name}: round {turn + 1} of {rounds} …")
                for size, lane in lanes.items():
                    for name, taken in lane.run(case, case.calls).statements.items():
                        times[name, size].append(statistics.median(taken) * 1000)
    return _summed(times, sizes)


def shown_size(size: int) -> str:
    """Return the head of a table's column for the times among so many finished tasks."""
    return f"{size:,} rows, p50 ms"


def _summed(
    times: dict[tuple[str, int], list[float]], sizes: Sequence[int]
) -> tuple[list[dict[str, Any]], list[Budget]]:
    rows, budgets = [], []
    for name, short in _STATEMENTS.items():
        middle = {size: statistics.median(times[name, size]) for size in sizes}
        ratio = middle[sizes[-1]] / middle[sizes[0]]
        shown = {shown_size(size): value for size, value in middle.items()}
        rows.append({"statement": short, **shown, "largest of smallest": ratio})
        budgets.append(Budget(f"{short}: {sizes[-1]:,} rows, of {sizes[0]:,}", ratio, BOUND))
    return rows, budgets


def _fill(url: str, rows: int) -> None:
    with contextlib.closing(psycopg2.connect(url, options="-c statement_timeout=0")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # Indexes are built at the end, which takes a third of the time.
            cursor.execute(
                "select indexname, indexdef from pg_indexes"
                " where tablename = 'tasks' and indexname <> 'tasks_pkey'"
            )
            indexes = cursor.fetchall()
            for name, _ in indexes:
                cursor.execute(f"drop index {name}")
            cursor.execute(_FILL, {"rows": rows})
            for _, definition in indexes:
                cursor.execute(definition)
            cursor.execute("vacuum analyze tasks")
