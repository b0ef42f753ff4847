"""Which panels a report is drawn as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.budgets import FLOOR, OF_PLAIN, OURS, PLAIN
from bench.growth import BOUND, shown_size
from bench.plot import Panel
from bench.told import HUNDRED, SINGLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bench.measure import Cell
    from bench.told import Summed

_WHO = {OURS: "#1f6feb", PLAIN: "#d29922", FLOOR: "#8b949e"}
_BLUES = ("#b6d4fe", "#79b8ff", "#1f6feb")


def of_cells(cells: Sequence[Cell]) -> Panel:
    """Return the time of a task in each case that all three took part in."""
    task = {(cell.case, cell.name): cell.task for cell in cells if cell.name in _WHO}
    cases = [case for case in dict.fromkeys(c.case for c in cells) if (case, PLAIN) in task]
    return Panel(
        "Time of a task, ms (logarithmic), called as Lambda calls it",
        cases,
        _WHO,
        {key: time for key, time in task.items() if key[0] in cases},
        {(case, OURS): task[case, PLAIN] * share for case, share in OF_PLAIN.items()},
    )


def of_whole(told: Sequence[Summed]) -> Panel:
    """Return the tasks a second of both services, by how many clients there were."""
    single, hundred = f"{OURS}, one by one", f"{OURS}, by the hundred"
    values: dict[tuple[str, str], float] = {}
    bounds: dict[tuple[str, str], float] = {}
    for one in told:
        group = f"{one.load.clients} client{'s' if one.load.clients > 1 else ''}"
        if one.service == FLOOR:
            continue
        values[group, PLAIN if one.service == PLAIN else f"{OURS}, {one.load.name}"] = 1 / one.task
        if one.service == PLAIN:
            bounds[group, single] = 1 / one.task / SINGLE
            bounds[group, hundred] = 1 / one.task / HUNDRED
    groups = list(dict.fromkeys(group for group, _ in values))
    title = "End to end with one worker: tasks a second (logarithmic), the budget is the least"
    series = {PLAIN: _WHO[PLAIN], single: _BLUES[1], hundred: _BLUES[2]}
    return Panel(title, groups, series, values, bounds)


def of_growth(rows: Sequence[dict[str, Any]], sizes: Sequence[int]) -> Panel:
    """Return how long each statement took among so many finished tasks."""
    series = [shown_size(size) for size in sizes]
    values = {(row["statement"], name): row[name] for row in rows for name in series}
    return Panel(
        "As the table grows: ms of a statement, among so many finished tasks",
        [row["statement"] for row in rows],
        dict(zip(series, _BLUES, strict=False)),
        values,
        {(row["statement"], series[-1]): row[series[0]] * BOUND for row in rows},
        linear=True,
    )
