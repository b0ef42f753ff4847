"""The budgets of the design, and whether what was measured keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure import CREATE, WORK, Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS, KEYS, PLAIN, FLOOR = "ours", "ours+keys", "plain", "floor"
#: The most that a task may take, by case, of the plain algorithm's.
OF_PLAIN = {CREATE: 0.35, WORK[10]: 1 / 60, WORK[100]: 1 / 200}


@dataclass(frozen=True)
class Budget:
    """A figure and the most that it may be, and the same figure of others, where it says more."""

    what: str
    figure: float
    bound: float
    floor: float | None = None
    plain: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.figure <= self.bound


def of_cells(cells: Sequence[Cell]) -> list[Budget]:
    """Return the budgets that calls in this process are held to."""
    found = {(cell.case, cell.name): cell for cell in cells}

    def task(case: str, name: str) -> float:
        return found[case, name].task

    def of_plain(case: str, bound: float) -> Budget:
        ratios = [task(case, name) / task(case, PLAIN) for name in (OURS, FLOOR)]
        return Budget(f"{case}: time per task, of the plain's", ratios[0], bound, ratios[1])

    return [
        Budget("create: statements, keys and limits on", found[CREATE, KEYS].statements, 1),
        Budget("create: round trips, keys and limits on", found[CREATE, KEYS].round_trips, 1),
        Budget("work 10: statements per task", found[WORK[10], OURS].statements, 0.3),
        Budget("work 10: round trips per task", found[WORK[10], OURS].round_trips, 0.3),
        *(of_plain(case, bound) for case, bound in OF_PLAIN.items()),
        Budget(
            "create one: time, of the floor's", task(CREATE, OURS) / task(CREATE, FLOOR), 1.25, 1
        ),
    ]
