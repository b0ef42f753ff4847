"""Every statement, on every row that the model can tell from another, does what the model says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.model.rows import FINAL, WAITING, Row
from tests.stateful.moves import Claim, Moves, Settling
from tests.stateful.reference import Expected
from tests.world import MY_TOKEN, OTHER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World

LIMIT = 2
BOTH = (False, True)


def every_row() -> Iterator[Row]:
    """Yield each kind of row that a task of two attempts can be."""
    for attempt, due, unsent, suspect in itertools.product(range(LIMIT + 1), BOTH, BOTH, BOTH):
        kinds = ("pending", "retrying") if attempt else ("pending",)
        for status in kinds:
            yield Row(status, attempt, LIMIT, due=due, unsent=unsent, suspect=suspect)
    for attempt, live, cancel in itertools.product((1, LIMIT), BOTH, BOTH):
        for shared, suspect in ((False, False), (True, False), (False, True)):
            row = Row("processing", attempt, LIMIT, live=live, cancel=cancel)
            yield row._replace(shared=shared, suspect=suspect)
    for attempt, suspect in itertools.product((1, LIMIT), BOTH):
        yield Row("completed", attempt, LIMIT, suspect=suspect)
        yield Row("failed", attempt, LIMIT, suspect=suspect)
        yield Row("cancelled", attempt, LIMIT, suspect=suspect, cancel=True)
    yield Row("cancelled", 0, LIMIT, cancel=True)


def arranged(world: World) -> Moves:
    """Fill the table with every row, held by MY_TOKEN where anybody holds it."""
    moves = Moves(world)
    for row in every_row():
        token = MY_TOKEN if row.attempt and row.status not in {"pending", "cancelled"} else None
        number = world.table.arrange(row.status, **_columns(world, row), lease_token=token)
        written = token if row.status == "completed" else None
        moves.reference.tasks[number] = Expected(row, token, written=written)
    moves.agree()
    return moves


def _columns(world: World, row: Row) -> dict[str, Any]:
    at = world.table.at
    columns: dict[str, Any] = {
        "attempt": row.attempt,
        "attempt_limit": row.limit,
        "run_at": at(-1 if row.due else 600),
        "dispatch_after": "-infinity" if row.unsent else at(120),
        "cancel_requested_at": at(-1) if row.cancel else None,
        "lease_shared": row.shared,
        "suspect": row.suspect,
    }
    if row.status == "processing":
        columns["lease_until"] = at(600 if row.live else -1)
    if row.status == "completed":
        columns["result"] = f'"{MY_TOKEN}"'
    return columns


def settles(token: str, outcome: str, delay: int, *, unsent: bool) -> Callable[[Moves, int], None]:
    return lambda moves, number: moves.settle(Settling(number, token, outcome, unsent, delay))


def by_hand(move: str) -> Callable[[Moves, int], None]:
    return lambda moves, number: moves.by_hand(number, move)


def in_company(moves: Moves, number: int) -> None:
    moves.claim_anew([number, moves.create()], alone=False)


def looked_at_again(moves: Moves, number: int) -> None:
    task = moves.reference.tasks[number]
    if task.row.status in WAITING and not task.row.unsent:
        moves.world.table.update(number, dispatch_after=moves.world.table.at(-1))
        task.overdue = True
    moves.dispatch(unsent=False)


ON_EACH: dict[str, Callable[[Moves, int], None]] = {
    "claimed": lambda moves, number: moves.claim_anew([number], alone=False),
    "claimed alone": lambda moves, number: moves.claim_anew([number], alone=True),
    "claimed in company": in_company,
    "claimed again": lambda moves, number: moves.claim(Claim((number,), MY_TOKEN, alone=False)),
    "sent again": looked_at_again,
    "marked as unsent": lambda moves, number: moves.mark_unsent([number]),
    "expired": lambda moves, number: moves.expire(number),
    "renewed": lambda moves, number: moves.renew(number, MY_TOKEN),
    "renewed by another": lambda moves, number: moves.renew(number, OTHER_TOKEN),
    **{
        f"by hand, {move}": by_hand(move) for move in ("cancel", "retry", "delete", "fail_unqueued")
    },
    **{
        f"settled as {outcome}, {delay} s, unsent {unsent}": settles(
            MY_TOKEN, outcome, delay, unsent=unsent
        )
        for outcome in ("retry", "release")
        for delay in (0, 600)
        for unsent in BOTH
    },
    **{
        f"settled as {outcome}{whose}": settles(token, outcome, 0, unsent=False)
        for outcome in FINAL - {"cancelled"}
        for token, whose in ((MY_TOKEN, ""), (OTHER_TOKEN, " by another"))
    },
}
AT_ONCE: dict[str, Callable[[Moves], None]] = {
    "rescue": lambda moves: moves.rescue(),
    "sending of the unsent": lambda moves: moves.dispatch(unsent=True),
    "sending of the presumed": lambda moves: moves.dispatch(unsent=False),
    "mark on all": lambda moves: moves.mark_all_unsent(),
}


@pytest.mark.parametrize("move", ON_EACH.values(), ids=ON_EACH)
def test_every_row_becomes_what_the_model_says_when_it_is(
    world_of: Callable[..., World], move: Callable[[Moves, int], None]
) -> None:
    moves = arranged(world_of(attempt_limit=LIMIT))
    for number in list(moves.reference.tasks):
        move(moves, number)
    moves.agree()


@pytest.mark.parametrize("move", AT_ONCE.values(), ids=AT_ONCE)
def test_the_rows_become_what_the_model_says_at_the(
    world_of: Callable[..., World], move: Callable[[Moves], None]
) -> None:
    moves = arranged(world_of(attempt_limit=LIMIT))
    move(moves)
    moves.agree()
