"""Draws moves at random, makes them in PostgreSQL, and holds every row against the reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from tests.model.rows import FINAL, WAITING
from tests.stateful.moves import Moves, Settling

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model.rows import Row
    from tests.world import World

#: A task or a claim by its place; a place beyond the last one begins again.
PLACE = st.integers(0, 2)
OUTCOMES = st.sampled_from(["retry", "release", "retry", "completed", "failed"])
DELAYS = st.sampled_from([0, 0, 600])
MOVES = st.sampled_from(["retry", "cancel", "fail_unqueued", "delete"])


def _when(fits: Callable[[Row], bool]) -> Callable[[Any], Any]:
    # A rule that does nothing is a step lost: it is drawn only when there is a task for it.
    return precondition(lambda self: bool(self.those(fits)))


def _is_live(row: Row) -> bool:
    return row.live


def _is_waiting(row: Row) -> bool:
    return row.status in WAITING


def _is_early(row: Row) -> bool:
    return not row.due


def _is_final(row: Row) -> bool:
    return row.status in FINAL


def _is_open(row: Row) -> bool:
    return row.status not in FINAL


def _is_ready(row: Row) -> bool:
    return _is_waiting(row) and row.due and row.attempt < row.limit


class Machine(RuleBasedStateMachine):
    """A few tasks, and everybody who moves them."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.moves = Moves(world)
        self.reference = self.moves.reference

    def those(self, fits: Callable[[Row], bool]) -> list[int]:
        """Return the ids of the tasks that fit, the newest first."""
        known = self.reference.tasks
        return [number for number in sorted(known, reverse=True) if fits(known[number].row)]

    def one(self, place: int, fits: Callable[[Row], bool] = lambda _row: True) -> int:
        numbers = self.those(fits)
        return numbers[place % len(numbers)]

    @precondition(lambda self: len(self.those(_is_open)) < 3 and len(self.reference.tasks) < 9)
    @rule()
    def create(self) -> None:
        self.moves.create()

    @_when(_is_open)
    @rule(places=st.sets(PLACE, min_size=1))
    def claim_some(self, places: set[int]) -> None:
        ids = {self.one(place, _is_open) for place in places}
        self.moves.claim_anew(ids, alone=False)

    @precondition(lambda self: self.reference.tasks)
    @rule(place=PLACE)
    def claim_one_alone(self, place: int) -> None:
        number = self.one(place)
        self.moves.claim_anew([number], alone=True)

    @precondition(lambda self: self.moves.claims)
    @rule(place=PLACE)
    def a_claim_is_repeated(self, place: int) -> None:
        self.moves.claim(self.moves.claims[-1 - place % len(self.moves.claims)])

    @_when(_is_live)
    @rule(place=PLACE, alone=st.booleans(), outcome=OUTCOMES)
    def a_task_is_taken_over_and_its_first_worker_wakes_up(
        self, place: int, outcome: str, *, alone: bool
    ) -> None:
        number = self.one(place, _is_live)
        first = self.reference.tasks[number].token or ""
        self.moves.lease_ends(number)
        self.moves.claim_anew([number], alone=alone)
        self.moves.renew(number, first)
        self.moves.settle(Settling(number, first, outcome, unsent=False, delay=0))

    @_when(_is_live)
    @rule()
    def a_worker_dies_and_its_tasks_are_rescued(self) -> None:
        for number in self.those(_is_live):
            self.moves.lease_ends(number)
        self.moves.rescue()

    @precondition(lambda self: any(map(self.moves.held, self.moves.claims)))
    @rule(place=PLACE, outcome=OUTCOMES, unsent=st.booleans(), delay=DELAYS)
    def settle_what_is_held(self, place: int, outcome: str, delay: int, *, unsent: bool) -> None:
        holding = [claim for claim in self.moves.claims if self.moves.held(claim)]
        claim = holding[place % len(holding)]
        self.moves.settle(Settling(self.moves.held(claim)[0], claim.token, outcome, unsent, delay))

    @precondition(lambda self: self.moves.claims)
    @rule(place=PLACE, outcome=OUTCOMES, unsent=st.booleans(), delay=DELAYS)
    def settle_late(self, place: int, outcome: str, delay: int, *, unsent: bool) -> None:
        claim = self.moves.claims[-1 - place % len(self.moves.claims)]
        self.moves.settle(Settling(claim.ids[0], claim.token, outcome, unsent, delay))

    @precondition(lambda self: self.moves.settlings)
    @rule(place=PLACE)
    def a_settling_is_repeated(self, place: int) -> None:
        self.moves.settle(self.moves.settlings[-1 - place % len(self.moves.settlings)])

    @_when(_is_live)
    @rule(place=PLACE)
    def a_lease_ends(self, place: int) -> None:
        self.moves.lease_ends(self.one(place, _is_live))

    @rule()
    def lost_tasks_are_rescued(self) -> None:
        self.moves.rescue()

    @_when(_is_early)
    @rule(place=PLACE)
    def a_task_is_due(self, place: int) -> None:
        number = self.one(place, _is_early)
        self.world.table.update(number, run_at=self.world.table.at(-1))
        task = self.reference.tasks[number]
        task.row = task.row._replace(due=True)

    @_when(_is_waiting)
    @rule(place=PLACE)
    def a_second_look_is_due(self, place: int) -> None:
        task = self.reference.tasks[number := self.one(place, _is_waiting)]
        if not task.row.unsent:
            self.world.table.update(number, dispatch_after=self.world.table.at(-1))
            task.overdue = True

    @rule(unsent=st.booleans())
    def dispatch(self, *, unsent: bool) -> None:
        self.moves.dispatch(unsent=unsent)

    @_when(_is_waiting)
    @rule(places=st.sets(PLACE, max_size=2))
    def mark_unsent(self, places: set[int]) -> None:
        self.moves.mark_unsent({self.one(place) for place in places})

    @precondition(lambda self: self.moves.claims)
    @rule(place=PLACE)
    def heartbeat(self, place: int) -> None:
        claim = self.moves.claims[-1 - place % len(self.moves.claims)]
        for number in claim.ids:
            self.moves.renew(number, claim.token)

    @precondition(lambda self: self.reference.tasks)
    @rule(place=PLACE, move=MOVES)
    def somebody_tries(self, place: int, move: str) -> None:
        self.moves.by_hand(self.one(place), move)

    @_when(_is_live)
    @rule(place=PLACE, then=st.sampled_from(["completed", "retry", "release", "rescue", "claim"]))
    def what_is_worked_is_to_be_cancelled(self, place: int, then: str) -> None:
        number = self.one(place, _is_live)
        token = self.reference.tasks[number].token or ""
        self.moves.by_hand(number, "cancel")
        self.moves.renew(number, token)
        if then in {"rescue", "claim"}:
            self.moves.lease_ends(number)
        match then:
            case "rescue":
                self.moves.rescue()
            case "claim":
                self.moves.claim_anew([number], alone=False)
            case outcome:
                self.moves.settle(Settling(number, token, outcome, unsent=False, delay=0))

    @_when(_is_final)
    @rule(place=PLACE)
    def retry_what_is_final(self, place: int) -> None:
        self.moves.by_hand(self.one(place, _is_final), "retry")

    @precondition(lambda self: self.reference.tasks)
    @rule(place=PLACE)
    def the_time_of_a_task_is_over(self, place: int) -> None:
        self.moves.expire(self.one(place))

    @_when(_is_ready)
    @rule()
    def the_worker_is_handed_every_message_twice(self) -> None:
        ready = self.those(_is_ready)
        self.world.queue.stored.clear()
        for number in [*ready, *ready]:
            self.world.queue.put(json.dumps({"task_id": number}))
        self.world.deliver()
        assert self.world.queue.stored == []
        for number in ready:
            token = self.world.table.row(number)["lease_token"]
            self.reference.claim([number], token, alone=True)
            self.reference.settle(number, token, "completed", unsent=False, due=True)
            self.reference.tasks[number].written = "did t"

    @invariant()
    def the_table_holds_what_the_reference_says(self) -> None:
        self.moves.agree()
