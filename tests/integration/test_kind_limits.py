"""Limits of a kind hold tasks back, exactly, and nothing that they hold back is lost."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.db import Database
from chalicelib.outcome import Completed
from chalicelib.store import Settlement, Store
from chalicelib.task import Status
from tests.integration.test_claim import claim, message
from tests.world import OTHER_TOKEN, returning

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.store import Standing
    from tests.world import World

WAITS = "select pid from pg_stat_activity where wait_event_type = 'Lock'"
LINE = "select id from tasks where held = 'parked' order by id"


def limit(world: World, kind: str = "default", **limits: Any) -> None:
    """Set the limits of a kind; what is left out is none."""
    columns = {"kind": kind, "paused": False, "running": None, "running_per_key": None}
    columns |= {"rate": None, "burst": None} | limits
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    statement = f"delete from kind_limits where kind = %s; insert into kind_limits ({names}) values ({marks})"  # noqa: E501, S608
    world.table.run(statement, [kind, *columns.values()])


def pending(world: World, many: int, **columns: Any) -> list[int]:
    return [world.table.arrange("pending", **columns) for _ in range(many)]


def holds(standings: list[Standing]) -> list[str | None]:
    return [one.hold for one in sorted(standings, key=lambda one: one.id)]


def parked(world: World) -> list[int]:
    return [row["id"] for row in world.table.run(LINE)]


def complete(world: World, *ids: int, token: str) -> None:
    done = [Settlement(id=one, outcome=Completed("1"), unsent=False) for one in ids]
    world.store.settle_attempts(done, token=token)


def call(world: World, kinds: list[str] | None = None, most: int = 100) -> list[int]:
    return [letter.id for letter in world.store.call_parked(kinds, limit=most)]


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def later(world: World, seconds: float) -> None:
    """Let time pass, as far as limits and waiting tasks can tell."""
    world.table.run("update tasks set run_at = run_at - make_interval(secs => %s)", [seconds])
    world.table.run(
        "update rate_buckets set filled_at = filled_at - make_interval(secs => %s)", [seconds]
    )


def test_no_more_tasks_of_a_kind_run_than_it_may(world: World) -> None:
    limit(world, running=2)
    ids = pending(world, 5)
    standings = claim(world, *ids)
    assert holds(standings) == [None, None, "parked", "parked", "parked"]
    assert [one.task is not None for one in standings] == [True, True, False, False, False]
    assert [one.status for one in standings[2:]] == [Status.PENDING] * 3
    assert holds(claim(world, *pending(world, 1), token=OTHER_TOKEN)) == ["parked"]


def test_other_kinds_are_not_held_back(world: World) -> None:
    limit(world, running=1)
    ids = [*pending(world, 2), *pending(world, 3, kind="free")]
    standings = claim(world, *ids)
    assert holds(standings) == [None, "parked", None, None, None]
    assert [one.limited for one in standings] == [True, True, False, False, False]


def test_a_parked_task_has_no_message_and_changes_for_nobody(world: World) -> None:
    limit(world, paused=True)
    [number] = pending(world, 1)
    before = world.table.row(number)
    claim(world, number)
    after = world.table.row(number)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"held", "dispatch_after"}
    world.table.run("update tasks set created_at = created_at - interval '1 year'")
    assert world.sweep()["sent"] == world.sweep(queue_lost=True)["sent"] == 0


def test_a_place_that_is_free_again_calls_the_oldest_that_waits(world: World) -> None:
    limit(world, running=2)
    ids = pending(world, 5)
    claim(world, *ids)
    assert call(world) == []
    complete(world, ids[0], token="00000000-0000-4000-8000-00000000000b")  # noqa: S106
    assert call(world) == [ids[2]]
    assert call(world) == []


def test_nothing_of_a_paused_kind_is_called(world: World) -> None:
    limit(world, paused=True)
    claim(world, *pending(world, 2))
    assert call(world) == []


def test_a_called_task_has_its_place_kept_from_others(world: World) -> None:
    limit(world, running=1)
    first, second = pending(world, 2)
    claim(world, first)
    claim(world, second, token=OTHER_TOKEN)
    complete(world, first, token="00000000-0000-4000-8000-00000000000b")  # noqa: S106
    assert call(world) == [second]
    [third] = pending(world, 1)
    assert holds(claim(world, third, token=str(uuid.uuid4()))) == ["parked"]
    assert holds(claim(world, second, token=str(uuid.uuid4()))) == [None]
    assert world.table.row(second)["held"] is None


def test_a_called_task_whose_message_is_lost_is_sent_again(world: World) -> None:
    limit(world, running=1)
    [number] = pending(world, 1)
    limit(world, paused=True)
    claim(world, number)
    limit(world, running=1)
    assert world.sweep()["called"] == 1
    world.queue.stored.clear()
    world.table.update(number, dispatch_after=world.table.at(-1))
    assert world.sweep()["sent_again"] == 1


def test_a_called_task_that_is_cancelled_gives_its_place_away(world: World) -> None:
    limit(world, paused=True)
    first, second = pending(world, 2)
    claim(world, first, second)
    limit(world, running=1)
    assert call(world) == [first]
    world.clients.cancel_task(first)
    assert call(world) == [second]


def test_of_two_claims_at_once_the_later_waits_and_finds_the_place_taken(world: World) -> None:
    limit(world, running=1)
    first, second = pending(world, 2)
    found: list[Standing] = []
    later_one = threading.Thread(target=lambda: found.extend(claim(world, second)))
    with world.database.transaction(10) as transaction:
        Store(transaction.query, world.settings).claim_tasks(
            [message(first)], token=OTHER_TOKEN, lease=60, request_id="r"
        )
        later_one.start()
        until(lambda: bool(found) or bool(world.table.run(WAITS)))
    later_one.join()
    assert holds(found) == ["parked"]


def test_each_key_has_a_share_of_its_own(world: World) -> None:
    limit(world, running_per_key=1)
    ids = [world.table.arrange("pending", limit_key=key) for key in ("a", "a", "b", None, None)]
    assert holds(claim(world, *ids)) == [None, "parked", None, None, "parked"]
    token = "00000000-0000-4000-8000-00000000000b"  # noqa: S105
    complete(world, ids[2], ids[3], token=token)
    assert call(world) == [ids[4]]
    complete(world, ids[0], token=token)
    assert call(world) == [ids[1]]


def test_a_share_that_is_full_leaves_the_kinds_places_to_others(world: World) -> None:
    limit(world, running=2, running_per_key=1)
    ids = [world.table.arrange("pending", limit_key=key) for key in ("a", "a", "a", "b", "c")]
    assert holds(claim(world, *ids)) == [None, "parked", "parked", None, "parked"]
    token = "00000000-0000-4000-8000-00000000000b"  # noqa: S105
    complete(world, ids[0], ids[3], token=token)
    assert call(world) == [ids[1], ids[4]]


def test_a_rate_lets_a_burst_in_and_promises_the_others_their_turns(world: World) -> None:
    limit(world, rate=2.0, burst=3)
    standings = claim(world, *pending(world, 6))
    assert holds(standings) == [None, None, None, "promised", "promised", "promised"]
    waits = [round(one.wait, 2) for one in standings[3:]]
    assert waits == [0.5, 1.0, 1.5]
    more = claim(world, *pending(world, 2), token=OTHER_TOKEN)
    assert [round(one.wait, 1) for one in more] == [2.0, 2.5]  # behind the line


def test_no_more_turns_are_promised_in_a_second_than_may_begin_at_once(world: World) -> None:
    limit(world, rate=10.0, burst=2)
    first, second = pending(world, 6), pending(world, 2)
    waits = [one.wait for one in claim(world, *first)] + [
        one.wait for one in claim(world, *second, token=OTHER_TOKEN)
    ]
    assert [round(wait, 1) for wait in waits[2:]] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_a_promise_is_kept_and_nobody_is_let_in_before(world: World) -> None:
    limit(world, rate=1.0, burst=1)
    first, second = pending(world, 2)
    assert holds(claim(world, first, second)) == [None, "promised"]
    later(world, 1.0)
    [third] = pending(world, 1)
    assert holds(claim(world, third, token=OTHER_TOKEN)) == ["promised"]
    assert holds(claim(world, second, token=OTHER_TOKEN)) == [None]
    assert world.table.row(second)["held"] is None


def test_each_key_has_a_rate_of_its_own(world: World) -> None:
    limit(world, rate=1.0, burst=1)
    ids = [world.table.arrange("pending", limit_key=key) for key in ("a", "b", "a", None)]
    assert holds(claim(world, *ids)) == [None, None, "promised", None]


def test_what_is_parked_takes_no_token(world: World) -> None:
    limit(world, rate=1.0, burst=2, running=1)
    first, second = pending(world, 2)
    assert holds(claim(world, first, second)) == [None, "parked"]
    complete(world, first, token="00000000-0000-4000-8000-00000000000b")  # noqa: S106
    assert call(world) == [second]
    assert holds(claim(world, second, token=OTHER_TOKEN)) == [None]


def test_a_promised_task_whose_line_was_cancelled_does_not_hold_others_up(world: World) -> None:
    limit(world, rate=1.0, burst=1)
    ids = pending(world, 5)
    claim(world, *ids)
    for number in ids[1:]:
        world.clients.cancel_task(number)
    later(world, 1.0)
    assert holds(claim(world, *pending(world, 1), token=OTHER_TOKEN)) == [None]


def test_nothing_of_a_paused_kind_begins_not_even_what_its_worker_left(world: World) -> None:
    limit(world, paused=True)
    lost = world.table.arrange("processing", lease_until=world.table.at(-1))
    [standing] = claim(world, lost)
    row = world.table.row(lost)
    assert (standing.hold, row["status"], row["held"]) == ("parked", "retrying", "parked")
    assert [one["outcome"] for one in row["attempts"]] == ["crashed"]


def test_the_sweeper_calls_what_a_kind_without_limits_had_parked(world: World) -> None:
    limit(world, paused=True)
    ids = pending(world, 3)
    claim(world, *ids)
    world.table.run("update kind_limits set paused = false")
    assert world.sweep()["called"] == 3
    assert world.table.run("select * from kind_limits") == []
    assert {world.table.row(one)["held"] for one in ids} == {"called"}
    assert world.sweep()["called"] == 0


def test_the_sweeper_forgets_buckets_that_are_full(world: World) -> None:
    limit(world, rate=1.0, burst=2)
    claim(world, *pending(world, 2))
    world.sweep()
    assert len(world.table.run("select * from rate_buckets")) == 1
    later(world, 62)
    world.sweep()
    assert world.table.run("select * from rate_buckets") == []


def test_what_a_claim_has_in_hand_is_not_forgotten_and_not_waited_for(world: World) -> None:
    limit(world, rate=1.0, burst=1)
    limit(world, "free")  # without any limit
    claim(world, *pending(world, 1))
    later(world, 100)
    ids = [*pending(world, 1), *pending(world, 1, kind="free")]
    purged: list[int] = []
    forgetting = threading.Thread(target=lambda: purged.append(world.store.purge_limits(limit=9)))
    with world.database.transaction(10) as transaction:
        claims = Store(transaction.query, world.settings).claim_tasks(
            [message(number) for number in ids], token=OTHER_TOKEN, lease=60, request_id="r"
        )
        assert holds(claims) == [None, None]
        forgetting.start()
        until(lambda: bool(purged) or bool(world.table.run(WAITS)))
        waited = not purged
    forgetting.join()
    [bucket] = world.table.run("select tokens from rate_buckets")
    assert (waited, purged, bucket["tokens"]) == (False, [0], 0.0)
    assert [row["kind"] for row in world.table.run("select * from kind_limits")] == [
        "default",
        "free",
    ]


@pytest.mark.parametrize("held", ["parked", "called", "promised"])
def test_another_time_by_hand_ends_a_hold(world: World, held: str) -> None:
    number = world.table.arrange("pending", held=held, dispatch_after="infinity")
    world.clients.update_task(number, {"delay": 5})
    row = world.table.row(number)
    assert row["held"] is None
    assert row["dispatch_after"] < world.table.at(600)


def test_a_task_that_was_cancelled_in_the_line_is_free_of_it_when_tried_again(world: World) -> None:
    limit(world, paused=True)
    [number] = pending(world, 1)
    claim(world, number)
    world.clients.cancel_task(number)
    world.clients.retry_task(number, attempts={})
    row = world.table.row(number)
    assert (row["status"], row["held"]) == ("pending", None)


def test_the_worker_lets_go_of_parked_messages_and_calls_the_next_when_it_is_done(
    world: World,
) -> None:
    world.registry.handler("slow")(returning("done"))
    limit(world, "slow", running=1)
    ids = [world.task(kind="slow") for _ in range(4)]
    assert len(world.deliver()) == 4
    assert world.table.status(ids[0]) == "completed"
    assert parked(world) == ids[2:]
    assert [one.id for one in world.queue.sent] == [ids[1]]  # and no other message is left
    assert len(world.queue.stored) == 1
    for _ in range(3):
        world.deliver()
    assert {world.table.status(one) for one in ids} == {"completed"}


def test_a_promised_message_is_hidden_until_its_turn(world: World) -> None:
    limit(world, rate=0.1, burst=1)
    world.task()
    second = world.task()
    world.deliver()
    [left] = world.queue.stored
    assert f'"task_id": {second}' in left.body
    assert 9 <= left.visible_at - world.queue.now <= 11
    assert world.table.row(second)["dispatch_after"] > world.table.at(100)


def test_a_promise_that_the_last_receive_cannot_wait_for_is_sent_by_the_sweeper(
    world: World,
) -> None:
    limit(world, rate=0.1, burst=1)
    first = world.table.arrange("pending")
    claim(world, first)
    second = world.task()
    world.queue.stored[0].receives = 2
    world.deliver()
    assert world.queue.stored == []
    assert world.sweep()["sent"] == 1
    assert 9 <= world.queue.sent[-1].delay <= 10
    assert world.table.row(second)["held"] == "promised"


def _many_at_once(world: World, threads: int, work: Callable[[Store, str], None]) -> None:
    def run() -> None:
        database = Database(world.settings.database_url)
        try:
            work(Store(database.query, world.settings), str(uuid.uuid4()))
        finally:
            database.close()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()


class Line:
    """Ids that many threads take in turn, and how they stand."""

    def __init__(self, world: World, ids: list[int]) -> None:
        self.world = world
        self._ids = ids
        self._lock = threading.Lock()
        self.overruns: list[Any] = []

    def take(self, many: int) -> list[int]:
        with self._lock:
            some, self._ids[:] = self._ids[:many], self._ids[many:]
            return some

    def put(self, ids: list[int]) -> None:
        with self._lock:
            self._ids.extend(ids)

    def work(self, store: Store, token: str) -> None:
        while some := self.take(3):
            standings = store.claim_tasks(
                [message(number) for number in some], token=token, lease=60, request_id="r"
            )
            mine = [one.id for one in standings if one.claim]
            self.overruns += store._query(  # a look of its own, from outside of the claim
                "read_limits", kind="default", most=1000, key_id=None, proof=None, nonce=None
            )
            done = [Settlement(id=one, outcome=Completed("1"), unsent=False) for one in mine]
            if done:
                store.settle_attempts(done, token=token)
            self.put([letter.id for letter in store.call_parked(["default"], limit=100)])


def test_many_workers_at_once_never_overrun_a_limit_and_every_task_is_worked(world: World) -> None:
    limit(world, running=3)
    ids = pending(world, 60)
    line = Line(world, list(ids))
    while line._ids:
        _many_at_once(world, 6, line.work)
        line.put(call(world))
    assert max(row["processing"] for row in line.overruns) == 3
    assert {world.table.status(one) for one in ids} == {"completed"}


def test_many_workers_at_once_never_overrun_the_share_of_a_key(world: World) -> None:
    limit(world, running_per_key=1)
    ids = [world.table.arrange("pending", limit_key="ab"[one % 2]) for one in range(30)]
    line = Line(world, list(ids))
    while line._ids:
        _many_at_once(world, 5, line.work)
        line.put(call(world))
    assert max(row["processing"] for row in line.overruns) == 2
    assert {world.table.status(one) for one in ids} == {"completed"}


def test_many_workers_at_once_never_begin_more_attempts_than_the_rate_allows(world: World) -> None:
    limit(world, rate=50.0, burst=5)
    ids = pending(world, 60)
    claimed: list[datetime] = []

    def work(store: Store, token: str) -> None:
        while some := line.take(4):
            standings = store.claim_tasks(
                [message(number) for number in some], token=token, lease=60, request_id="r"
            )
            claimed.extend(one.task.started_at for one in standings if one.task)  # type: ignore[misc]
            line.put([one.id for one in standings if not one.claim])

    line = Line(world, list(ids))
    _many_at_once(world, 5, work)
    begun = sorted(claimed)
    assert len(begun) == len(ids)
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            passed = (begun[last] - begun[first]).total_seconds()
            assert last - first + 1 <= 5 + 50 * passed + 1
