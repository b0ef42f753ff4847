"""Of the tasks with one unique key at most one is open, whatever happens to them."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import IllegalMove, StoreUnavailable
from chalicelib.outcome import Completed, Failed, Outcome, Retry
from chalicelib.queue import Message
from chalicelib.schemas import NewBatch, NewTask, RetryMany
from chalicelib.store import Settlement
from tests.integration.api import Api, problem
from tests.world import MY_TOKEN, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.test import HTTPResponse


OPEN = ("pending", "processing", "retrying")
FINAL = ("completed", "failed", "cancelled")


def twin(world: Any, status: str, scope: str = "open", key: str = "u") -> int:
    """Insert a task with a unique key."""
    number: int = world.table.arrange(status, unique_key=key, unique_scope=scope)
    return number


def ask(api: Api, scope: str | None = None, **fields: Any) -> HTTPResponse:
    more = {} if scope is None else {"unique_scope": scope}
    return api.post({"title": "x", "unique_key": "u"} | more | fields)


@pytest.mark.parametrize("status", OPEN)
def test_while_a_task_is_open_its_key_is_answered_with_it(api: Api, status: str) -> None:
    number = twin(api, status)
    response = ask(api)
    assert response.status_code == 200
    assert json.loads(response.body)["id"] == number
    assert response.headers["Location"] == f"/tasks/{number}"
    assert (api.table.count(), api.queue.sent) == (1, [])


@pytest.mark.parametrize("status", FINAL)
@pytest.mark.parametrize("scope", ["open", "forever"])
def test_a_finished_task_keeps_its_key_only_for_ever(api: Api, status: str, scope: str) -> None:
    number = twin(api, status, scope)
    response = ask(api, scope)
    kept = json.loads(response.body)["id"] == number
    assert kept == (scope == "forever")
    assert response.status_code == (200 if kept else 201)


def test_what_else_is_asked_for_does_not_change_the_task_that_has_the_key(api: Api) -> None:
    ask(api, title="first", tags=["a"])
    again = json.loads(ask(api, title="second", tags=["b"]).body)
    assert (again["title"], again["tags"]) == ("first", ["a"])


def test_a_scope_without_a_key_is_refused(api: Api) -> None:
    problem(api.post({"title": "x", "unique_scope": "open"}), 422)


@pytest.mark.parametrize("key", ["", "a b", "\u00e9", "x" * 201, 5])
def test_a_unique_key_is_of_printable_ascii(api: Api, key: Any) -> None:
    [error] = problem(api.post({"title": "x", "unique_key": key}), 422)["errors"]
    assert error["pointer"] == "#/unique_key"


def test_two_items_of_a_batch_with_one_key_are_one_task(api: Api) -> None:
    tasks = [{"title": title, "unique_key": key} for title, key in ("au", "bv", "cu")]
    response = api.call("POST", "/tasks/batch", {"tasks": tasks}, Content_Type="application/json")
    items = json.loads(response.body)["items"]
    assert response.status_code == 201
    assert [item["title"] for item in items] == ["a", "b", "a"]
    assert items[0]["id"] == items[2]["id"]
    assert api.table.count() == len(api.queue.sent) == 2


def test_a_batch_is_answered_with_old_tasks_and_new_ones_in_its_order(api: Api) -> None:
    old = twin(api, "processing")
    tasks = [{"title": "new"}, {"title": "x", "unique_key": "u"}, {"title": "newer"}]
    response = api.call("POST", "/tasks/batch", {"tasks": tasks}, Content_Type="application/json")
    items = json.loads(response.body)["items"]
    assert [item["title"] for item in items] == ["new", "a title", "newer"]
    assert items[1]["id"] == old
    assert {letter.id for letter in api.queue.sent} == {items[0]["id"], items[2]["id"]}


def test_batches_with_the_same_keys_in_other_orders_do_not_block_each_other(
    api_of: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = api_of(database_connections=4, database_patience=30)
    desk = api.runtime.serve(None)
    failures: list[Any] = []
    run = api.runtime.database._run

    def watched(*arguments: Any) -> Any:
        try:
            return run(*arguments)
        except StoreUnavailable as error:
            failures.append(error.context["sqlstate"])
            raise

    monkeypatch.setattr(api.runtime.database, "_run", watched)

    def create(keys: list[str]) -> set[int]:
        tasks = [NewTask(title="x", unique_key=key) for key in keys]
        return {one.id for one in desk.create_many(NewBatch(tasks=tasks)).items}

    for turn in range(10):
        keys = [f"turn-{turn}-{number}" for number in range(300)]
        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(create, [keys, keys[::-1]] * 2))
        assert all(answer == answers[0] for answer in answers)
    assert api.table.count() == 3000
    assert failures == []


@pytest.mark.parametrize(("status", "scope"), [("pending", "open"), ("completed", "forever")])
def test_a_task_whose_twin_has_the_key_is_not_tried_again(
    api: Api, status: str, scope: str
) -> None:
    number = twin(api, "failed")
    twin(api, status, scope)
    content = problem(api.call("POST", f"/tasks/{number}/retry"), 409)
    assert content["current"] == "failed"
    assert "unique key" in content["detail"]
    assert api.table.status(number) == "failed"


def test_a_task_is_tried_again_once_its_twin_is_over(api: Api) -> None:
    number, other = twin(api, "failed"), twin(api, "pending")
    problem(api.call("POST", f"/tasks/{number}/retry"), 409)
    api.runtime.serve(None).cancel(other)
    assert api.call("POST", f"/tasks/{number}/retry").status_code == 200
    problem(api.call("POST", f"/tasks/{other}/retry"), 409)


def test_a_task_that_keeps_its_key_for_ever_can_be_tried_again(api: Api) -> None:
    number = twin(api, "failed", "forever")
    assert api.call("POST", f"/tasks/{number}/retry").status_code == 200


def test_of_several_failed_twins_one_is_tried_again_the_newest(world: World) -> None:
    twins = [twin(world, "failed") for _ in range(3)]
    alone = world.table.arrange("failed")
    blocked = twin(world, "failed", key="v")
    twin(world, "pending", key="v")
    answer = world.service.retry_many(RetryMany())
    assert (answer.ids, answer.more) == ([twins[-1], alone], False)
    assert world.table.status(blocked) == "failed"
    assert world.service.retry_many(RetryMany()).ids == []


def test_many_are_told_to_be_left_although_twins_were_left_out(world: World) -> None:
    """Else a client that goes on as long as there is more would leave the rest failed."""
    for _ in range(2):
        twin(world, "failed")
    last = world.table.arrange("failed")
    assert world.service.retry_many(RetryMany(limit=2)).more
    answer = world.service.retry_many(RetryMany(limit=2))
    assert (answer.ids, answer.more) == ([last], False)


def test_twins_that_are_tried_again_at_once_are_one_open_task(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(database_connections=8, database_patience=30)
    desk = api.runtime.serve(None)

    def retry(number: int) -> bool:
        try:
            desk.retry(number)
        except IllegalMove:
            return False
        return True

    for _ in range(10):
        api.table.run("delete from tasks")
        twins = [twin(api, "failed") for _ in range(6)]
        with ThreadPoolExecutor(6) as clients:
            done = list(clients.map(retry, twins))
        assert sum(done) == 1
        [row] = api.table.run("select count(*) as open from tasks where status = 'pending'")
        assert row["open"] == 1


KEYS = st.sampled_from([None, "u", "v"])
MOVES = st.one_of(
    st.tuples(st.just("create"), KEYS, st.sampled_from(["open", "forever"])),
    st.tuples(st.sampled_from(["cancel", "retry", "delete", "claim"]), st.integers(0, 9)),
    st.tuples(st.just("settle"), st.integers(0, 9), st.sampled_from(["done", "later", "failed"])),
    st.tuples(st.just("batch"), st.lists(KEYS, min_size=1, max_size=5)),
    st.tuples(st.just("retry_many")),
)
OUTCOMES: dict[str, Outcome] = {
    "done": Completed("null"),
    "later": Retry(0, {"code": "exception", "message": "m"}),
    "failed": Failed({"code": "exception", "message": "m"}),
}


class Life:
    """Tasks of few unique keys, and what may be done to them."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.table.run("delete from tasks")

    def do(self, move: tuple[Any, ...]) -> None:
        name, *arguments = move
        # What is refused is refused with a reason; no statement breaks the index.
        with contextlib.suppress(IllegalMove):
            getattr(self, name)(*arguments)

    def create(self, key: str | None, scope: Any) -> None:
        self.world.service.create(
            NewTask(title="x", unique_key=key, unique_scope=scope if key else None)
        )

    def batch(self, keys: list[str | None]) -> None:
        tasks = [NewTask(title="x", unique_key=key) for key in keys]
        items = self.world.service.create_many(NewBatch(tasks=tasks)).items
        assert len(items) == len(keys)

    def retry_many(self) -> None:
        self.world.service.retry_many(RetryMany())

    def cancel(self, place: int) -> None:
        for number in self._at(place):
            self.world.service.cancel(number)

    def retry(self, place: int) -> None:
        for number in self._at(place):
            self.world.service.retry(number)

    def delete(self, place: int) -> None:
        for number in self._at(place):
            self.world.service.delete(number)

    def claim(self, place: int) -> None:
        wanted = [
            Message(id="m", receipt="r", task_id=n, receive_count=1, trace_id=None, body="")
            for n in self._at(place)
        ]
        self.world.store.claim_tasks(wanted, token=MY_TOKEN, lease=60, request_id="q", alone=True)

    def settle(self, place: int, outcome: str) -> None:
        ends = [
            Settlement(id=number, outcome=OUTCOMES[outcome], unsent=False)
            for number in self._at(place)
        ]
        self.world.store.settle_attempts(ends, token=MY_TOKEN)

    def check(self) -> None:
        """The index's own rule, said once more."""
        assert not self.world.table.run(
            "select unique_key from tasks where unique_key is not null"
            " and (unique_scope = 'forever' or status in ('pending', 'processing', 'retrying'))"
            " group by unique_key having count(*) > 1"
        )

    def _at(self, place: int) -> list[int]:
        rows = self.world.table.run("select id from tasks order by id")
        return [row["id"] for row in rows[place : place + 1]]


@given(moves=st.lists(MOVES, max_size=30))
@settings(max_examples=60)
def test_no_sequence_of_moves_makes_two_open_tasks_of_one_key(
    world: World, moves: list[tuple[Any, ...]]
) -> None:
    life = Life(world)
    for move in moves:
        life.do(move)
        life.check()


def test_what_is_checked_after_each_move_can_be_broken(
    new_database: Callable[[str | None], str], template_url: str
) -> None:
    world = World(new_database(template_url))
    world.table.run("drop index tasks_unique")
    for _ in range(2):
        twin(world, "pending")
    with pytest.raises(AssertionError):
        Life.check(SimpleNamespace(world=world))  # type: ignore[arg-type]
    world.close()
