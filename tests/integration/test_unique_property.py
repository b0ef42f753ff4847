"""Whatever happens to tasks with unique keys, no statement fails and no key has two open ones."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import IllegalMove
from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.queue import Message
from chalicelib.schemas import NewBatch, NewTask, RetryMany
from chalicelib.store import Settlement

if TYPE_CHECKING:
    from tests.world import World

ERROR = {"code": "exception", "message": "no"}
OUTCOMES: list[Outcome] = [Completed("1"), Retry(0, ERROR), Failed(ERROR), Released(0)]
KEYS = st.sampled_from(["a", "b", None])
NEW = st.builds(
    lambda key, scope: {"title": "x"} | ({"unique_key": key, "unique_scope": scope} if key else {}),
    KEYS,
    st.sampled_from(["open", "forever"]),
)
MOVES = st.one_of(
    st.tuples(st.just("create"), st.lists(NEW, min_size=1, max_size=4)),
    st.tuples(st.just("work"), st.sampled_from(OUTCOMES)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("retry"), st.integers(0, 20)),
    st.tuples(st.just("retry many"), st.sampled_from(["failed", "cancelled"])),
    st.tuples(st.just("crash"), st.none()),
)


@given(moves=st.lists(MOVES, max_size=25))
@settings(max_examples=60)
def test_there_are_never_two_open_tasks_with_one_key(
    world: World, moves: list[tuple[str, Any]]
) -> None:
    world.table.run("delete from tasks")
    for move, detail in moves:
        make(world, move, detail)
        twice = world.table.run(
            "select unique_key from tasks where unique_key is not null"
            " and (unique_scope = 'forever' or status in ('pending', 'processing', 'retrying'))"
            " group by unique_key having count(*) > 1"
        )
        assert twice == []


def make(world: World, move: str, detail: Any) -> None:
    ids = [row["id"] for row in world.table.run("select id from tasks order by id")]
    match move, detail:
        case "create", [one]:
            made = world.service.create(NewTask.model_validate(one))
            assert made.task.id
        case "create", many:
            items = world.service.create_many(NewBatch.model_validate({"tasks": many})).items
            assert len(items) == len(many)
        case "work", outcome:
            work(world, ids, outcome)
        case "crash", _:
            work(world, ids, None)
            world.table.run(
                "update tasks set lease_until = now() - interval '1 s' where status = 'processing'"
            )
            world.store.rescue_tasks(limit=100)
        case "retry many", status:
            world.service.retry_many(RetryMany.model_validate({"status": status}))
        case _, number if ids:
            by_hand = world.service.cancel if move == "cancel" else world.service.retry
            try:
                by_hand(ids[number % len(ids)])
            except IllegalMove:
                return
        case _:
            return


def work(world: World, ids: list[int], outcome: Outcome | None) -> None:
    token = str(uuid.uuid4())
    messages = [
        Message(id=f"m{one}", receipt="r", task_id=one, receive_count=1, trace_id=None, body="")
        for one in ids
    ]
    claimed = world.store.claim_tasks(messages, token=token, lease=60, request_id="r")
    mine = [standing.id for standing in claimed if standing.task is not None]
    if outcome is not None and mine:
        settlements = [Settlement(id=one, outcome=outcome, unsent=True) for one in mine]
        world.store.settle_attempts(settlements, token=token)
