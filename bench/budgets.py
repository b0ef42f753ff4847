"""The budgets of the design, and whether what was measured keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure import CREATE, WORK, Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS, KEYS, PLAIN, FLOOR = "ours", "ours+keys", "plain", "floor"


@dataclass(frozen=True)
class Budget:
    """A figure and the most (or, with ``least``, the least) that it may be."""

    what: str
    figure: float
    bound: float
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.figure >= self.bound if self.least else self.figure <= self.bound


def of_cells(cells: Sequence[Cell]) -> list[Budget]:
    """Return the budgets that calls in this process are held to."""
    found = {(cell.case, cell.name): cell for cell in cells}

    def ratio(case: str, to: str, name: str = OURS) -> float:
        return found[case, name].task / found[case, to].task

    return [
        Budget("create: statements, keys and limits on", found[CREATE, KEYS].statements, 1),
        Budget("create: round trips, keys and limits on", found[CREATE, KEYS].round_trips, 1),
        Budget("work 10: statements per task", found[WORK[10], OURS].statements, 0.3),
        Budget("work 10: round trips per task", found[WORK[10], OURS].round_trips, 0.3),
        Budget("create one: time, of the plain's", ratio(CREATE, PLAIN), 0.35),
        Budget("work 10: time per task, of the plain's", ratio(WORK[10], PLAIN), 1 / 60),
        Budget("work 100: time per task, of the plain's", ratio(WORK[100], PLAIN), 1 / 200),
        Budget("create one: time, of the floor's", ratio(CREATE, FLOOR), 1.25),
    ]
