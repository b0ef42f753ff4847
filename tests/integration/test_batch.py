"""A batch is stored whole or not at all, and sent in tens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.schemas import NewBatch
from tests.fakes import FakeContext
from tests.integration.api import Api, problem

if TYPE_CHECKING:
    from tests.world import World

MAX_BODY = 5 * 1024 * 1024


def batch(api: Api, tasks: Any) -> Any:
    body = tasks if isinstance(tasks, bytes) else {"tasks": tasks}
    return api.call("POST", "/tasks/batch", body, Content_Type="application/json")


def titles(many: int) -> list[dict[str, Any]]:
    return [{"title": f"t{n}"} for n in range(many)]


@pytest.mark.parametrize("many", [1, 10, 11, 1000])
def test_every_task_of_a_batch_is_stored_and_sent_in_order(api: Api, many: int) -> None:
    response = batch(api, titles(many))
    assert response.status_code == 201
    items = json.loads(response.body)["items"]
    assert [one["title"] for one in items] == [f"t{n}" for n in range(many)]
    ids = [one["id"] for one in items]
    assert ids == sorted(ids)
    assert sorted(letter.id for letter in api.queue.sent) == ids
    assert items[0]["links"]["self"] == f"/tasks/{ids[0]}"


@pytest.mark.parametrize("many", [0, 1001])
def test_a_batch_has_one_to_a_thousand_tasks(api: Api, many: int) -> None:
    assert problem(batch(api, titles(many)), 422)["errors"][0]["pointer"] == "#/tasks"


def test_every_bad_task_is_named_and_none_is_stored(api: Api) -> None:
    tasks = titles(1000)
    tasks[3] = {"title": " "}
    tasks[998] = {"title": "x", "delay_seconds": -1, "surprise": 1}
    errors = problem(batch(api, tasks), 422)["errors"]
    assert [error["pointer"] for error in errors] == [
        "#/tasks/3/title",
        "#/tasks/998/delay_seconds",
        "#/tasks/998/surprise",
    ]
    assert (api.table.count(), api.queue.sent) == (0, [])


def test_a_kind_that_nobody_knows_is_named_by_its_place(api: Api) -> None:
    tasks = [*titles(2), {"title": "x", "kind": "unheard of"}]
    assert problem(batch(api, tasks), 422)["errors"][0]["pointer"] == "#/tasks/2/kind"
    assert api.table.count() == 0


def test_a_task_of_a_batch_may_be_no_larger_than_one_alone(api: Api) -> None:
    large = {"title": "x", "description": "d" * 200_000, "payload": {"p": "p" * 100_000}}
    error = problem(batch(api, [{"title": "x"}, large]), 422)["errors"][0]
    assert error["pointer"] == "#/tasks/1"
    assert "at most 262,144 are kept" in error["detail"]


def test_a_batch_that_is_too_large_is_a_413(api: Api) -> None:
    full = json.dumps({"tasks": [{"title": "x"}]}).encode()
    assert batch(api, full + b" " * (MAX_BODY - len(full))).status_code == 201
    content = problem(batch(api, full + b" " * (MAX_BODY - len(full) + 1)), 413)
    assert "at most 5,242,880" in content["detail"]


def test_what_sqs_refused_of_a_batch_is_sent_by_the_sweeper(api: Api) -> None:
    first = json.loads(batch(api, titles(1)).body)["items"][0]["id"]
    refused = {first + 2, first + 15}
    api.queue.refused = set(refused)
    assert batch(api, titles(20)).status_code == 201
    assert api.table.unsent() == refused
    api.queue.refused = set()
    assert api.runtime.sweeper.sweep(lambda: 50.0)["sent"] == 2


def test_a_batch_is_taken_while_sqs_is_down(api: Api) -> None:
    api.queue.away = True
    assert batch(api, titles(30)).status_code == 201
    assert len(api.table.unsent()) == 30
    api.queue.away = False
    assert api.runtime.sweeper.sweep(lambda: 50.0)["sent"] == 30


def test_tasks_of_a_batch_that_begin_later_are_not_sent_yet(api: Api) -> None:
    tasks = [{"title": "soon", "delay_seconds": 60}, {"title": "far", "delay_seconds": 3600}]
    assert batch(api, tasks).status_code == 201
    assert [(letter.title, round(letter.delay)) for letter in api.queue.sent] == [("soon", 60)]


def test_a_batch_is_worked(api: Api) -> None:
    items = json.loads(batch(api, titles(10)).body)["items"]
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert {api.table.status(one["id"]) for one in items} == {"completed"}


def test_a_batch_costs_one_statement(world: World) -> None:
    world.service.create_many(NewBatch.model_validate({"tasks": titles(500)}))
    assert world.query.names == ["insert_tasks"]
