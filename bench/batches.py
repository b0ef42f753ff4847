"""What a batch takes as it grows to the largest that a mapping can be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.budgets import OURS, Budget
from bench.lane import Case
from bench.measure import measured as cells_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.measure import Cell
    from bench.stage import Home, Stage

#: What memory may grow by as batches of a size go on.
FLAT = 1.05
SIZES, SMOKE_SIZES = (10, 100, 1_000, 10_000), (50,)


def measured(
    stage: Stage,
    homes: Sequence[Home],
    sizes: Sequence[int],
    rounds: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return a row for each contestant and size. Raises StackError if one fails."""
    rows = []
    for size in sizes:
        # Each size has processes of its own, that begin with a batch of one: what they have had
        # of memory at most is of this size.
        once = tuple((home.name, 1) for home in homes)
        case = Case(f"work {size:,}", "work", size, 1, "worker", fewer=once)
        again = replace(case, name=f"{case.name} again")
        cells = cells_of(stage, homes, [case, again], rounds, say)
        half = len(homes)
        rows += [_row(size, *pair) for pair in zip(cells[:half], cells[half:], strict=True)]
    return rows


def budgets(rows: Sequence[dict[str, Any]]) -> list[Budget]:
    """Return what ours is held to with the two largest batches."""
    ours = [row for row in rows if row["who"] == OURS][-2:]
    return [
        *(Budget(f"work {r['tasks']:,}: statements a batch", r["statements"], 2) for r in ours),
        Budget(
            f"work {ours[-1]['tasks']:,}: memory after as many batches again, of that before",
            ours[-1]["MB, after as many again"] / ours[-1]["MB"],
            FLAT,
        ),
    ]


def _row(size: int, cell: Cell, again: Cell) -> dict[str, Any]:
    return {
        "tasks": size,
        "who": cell.name,
        "p50 ms": cell.p50,
        "ms/task": cell.task,
        "CPU ms/task": cell.cpu,
        "statements": round(cell.statements * size),
        "by the server": round(cell.by_server * size),
        "MB": cell.memory,
        "MB, after as many again": again.memory,
    }
