"""Two tasks in one batch, of which one kills every worker that runs it.

Here leases end only with their workers: a task that is merely slow is explored in protocol.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.model import rows, rules
from tests.model.checker import Move
from tests.model.rows import Design, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

POISON, INNOCENT = 0, 1
#: What the row alone cannot tell here: a worker that settles may, and PUNISHED says the rest.
EXEMPT = frozenset({rules.UNDER_LEASE, rules.IN_COMPANY})
PUNISHED = "a task is punished for the crash of its neighbour"


class Batches(NamedTuple):
    """Both rows, and what each worker still has to run; an empty tuple is an idle worker."""

    rows: tuple[Row, Row]
    workers: tuple[tuple[int, ...], ...]


class Company:
    """Claims of one task or both, run in any order; the queue delivers whatever is wanted."""

    def __init__(self, design: Design, *, workers: int = 2, attempts: int = 2) -> None:
        self.design = design
        self.workers = workers
        self.row = Row(limit=attempts, spare=attempts)

    def start(self) -> Batches:
        return Batches((self.row, self.row), ((),) * self.workers)

    def settled(self, state: Batches) -> bool:
        return state.rows[POISON].status == "failed" and state.rows[INNOCENT].status == "completed"

    def moves(self, state: Batches) -> Iterator[Move[Batches]]:
        for worker in sorted(set(state.workers)):
            others = list(state.workers)
            others.remove(worker)
            for number in worker:
                yield self._run(state, number, worker, others)
            if not worker:
                yield from self._claim(state, others)
        for number, row in enumerate(state.rows):
            if row.status == "processing" and not row.live:
                rescued = rows.rescue_tasks(self.design, row)
                yield self._wrote(
                    state, f"sweeper: rescue_tasks, {_called(number)}", number, rescued
                )

    def _claim(self, state: Batches, others: list[tuple[int, ...]]) -> Iterator[Move[Batches]]:
        for wanted in ((POISON,), (INNOCENT,), (POISON, INNOCENT)):
            for alone in (False, True)[: 3 - len(wanted)]:
                yield from self._claimed(state, others, wanted, alone=alone)

    def _claimed(
        self, state: Batches, others: list[tuple[int, ...]], wanted: tuple[int, ...], *, alone: bool
    ) -> Iterator[Move[Batches]]:
        apart = {n: self._claim_one(state.rows[n], alone=alone, shared=False) for n in wanted}
        taken = tuple(n for n in wanted if apart[n][0] == "claim")
        shared, changed = len(taken) > 1, list(state.rows)
        for number in wanted:
            _, changed[number] = self._claim_one(state.rows[number], alone=alone, shared=shared)
        after = Batches((changed[0], changed[1]), tuple(sorted((*others, taken))))
        if after.rows != state.rows:
            said = ", ".join(f"{_called(n)}: {apart[n][0]}" for n in wanted)
            yield self._judged(state, f"worker: claim_tasks says {said}", after)

    def _claim_one(self, row: Row, *, alone: bool, shared: bool) -> tuple[str, Row]:
        return rows.claim_tasks(self.design, row, mine=False, shared=shared, alone=alone)

    def _run(
        self, state: Batches, number: int, worker: tuple[int, ...], others: list[tuple[int, ...]]
    ) -> Move[Batches]:
        if number == POISON:
            left = tuple(
                row._replace(live=False) if n in worker else row for n, row in enumerate(state.rows)
            )
            after = Batches((left[0], left[1]), tuple(sorted((*others, ()))))
            return self._judged(state, "worker: runs the poison and dies", after)
        rest = tuple(n for n in worker if n != number)
        done = rows.settle_attempts(self.design, state.rows[number], "completed", unsent=False)
        after = state._replace(workers=tuple(sorted((*others, rest))))
        return self._wrote(after, "worker: settle_attempts, innocent", number, done)

    def _wrote(self, state: Batches, name: str, number: int, row: Row) -> Move[Batches]:
        changed = (row, state.rows[1]) if number == 0 else (state.rows[0], row)
        return self._judged(state, name, state._replace(rows=changed))

    def _judged(self, before: Batches, name: str, after: Batches) -> Move[Batches]:
        innocent = after.rows[INNOCENT]
        lost = innocent.spare < before.rows[INNOCENT].spare and innocent.status != "completed"
        broken = PUNISHED if lost else None
        for old, new in zip(before.rows, after.rows, strict=True):
            broken = broken or rules.broken_by(old, new, EXEMPT)
        return Move(name, after, broken=broken)


def _called(number: int) -> str:
    return "poison" if number == POISON else "innocent"
