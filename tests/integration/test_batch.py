"""Many tasks in one request: all or none, in their order, each with its message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

import app as front_door
from chalicelib import runtime
from chalicelib.queue import Queue, TaskQueue
from chalicelib.schemas import NewBatch, NewTask, bodies
from tests.fakes import FakeContext
from tests.integration.api import Api, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.test import HTTPResponse

    from tests.world import World

HOUR = 60 * 60
MOST_BYTES = 262_144


def post(api: Api, tasks: Any) -> HTTPResponse:
    body = tasks if isinstance(tasks, bytes) else {"tasks": tasks}
    return api.call("POST", "/tasks/batch", body, Content_Type="application/json")


def items(response: HTTPResponse) -> list[dict[str, Any]]:
    assert response.status_code == 201, response.body
    return list(json.loads(response.body)["items"])


@pytest.mark.parametrize("many", [1, 10, 11, 1000])
def test_a_batch_makes_its_tasks_in_order_with_a_message_each(api: Api, many: int) -> None:
    made = items(post(api, [{"title": f"task {number}"} for number in range(many)]))
    assert [task["title"] for task in made] == [f"task {number}" for number in range(many)]
    ids = [task["id"] for task in made]
    assert ids == sorted(set(ids))
    assert [letter.id for letter in api.queue.sent] == ids
    assert api.table.count() == many


def test_an_item_of_a_batch_is_the_task_that_it_would_be_alone(api: Api) -> None:
    task = {
        "title": "x",
        "description": "d",
        "payload": {"a": [None]},
        "tags": ["t", "u"],
        "delay_seconds": 60,
        "expires_at": "2090-01-01T00:00:00Z",
        "unique_key": "u",
    }
    [made] = items(post(api, [task]))
    api.runtime.serve(None).cancel(made["id"])
    alone = json.loads(api.post(task).body)
    own = {"id", "created_at", "run_at", "links"}
    assert {k: v for k, v in made.items() if k not in own} == {
        k: v for k, v in alone.items() if k not in own
    }
    columns = ("description", "payload", "tags", "expires_at", "unique_key", "unique_scope")
    rows = [api.table.row(number) for number in (made["id"], alone["id"])]
    assert [rows[0][name] for name in columns] == [rows[1][name] for name in columns]


@pytest.mark.parametrize("many", [0, 1001])
def test_a_batch_has_between_one_and_a_thousand_tasks(api: Api, many: int) -> None:
    [error] = problem(post(api, [{"title": "x"}] * many), 422)["errors"]
    assert error["pointer"] == "#/tasks"
    assert api.table.count() == 0


def test_one_bad_item_among_a_thousand_is_named_and_nothing_is_made(api: Api) -> None:
    tasks: list[Any] = [{"title": "x"}] * 1000
    tasks[776] = {"title": "x", "payload": {"a": "\0"}}
    [error] = problem(post(api, tasks), 422)["errors"]
    assert error["pointer"] == "#/tasks/776/payload"
    assert "NUL" in error["detail"]
    assert (api.table.count(), api.queue.sent) == (0, [])


def test_every_bad_item_is_named(api: Api) -> None:
    tasks = [{"title": ""}, {"title": "x"}, {"title": "x", "colour": 1}, {"tags": ["a", "a"]}, 5]
    errors = problem(post(api, tasks), 422)["errors"]
    assert {error["pointer"] for error in errors} == {
        "#/tasks/0/title",
        "#/tasks/2/colour",
        "#/tasks/3/title",
        "#/tasks/3/tags",
        "#/tasks/4",
    }


def test_of_many_broken_rules_a_hundred_are_named_and_the_others_counted(api: Api) -> None:
    item = {"title": "x"} | {f"f{number}": 1 for number in range(400)}
    response = post(api, [item] * 1000)
    content = problem(response, 422)
    assert content["errors"] == [
        {"pointer": f"#/tasks/0/f{number}", "detail": "is not a known field"}
        for number in range(100)
    ]
    assert content["unnamed"] == 400_000 - 100
    assert "(and 399,999 more)" in content["detail"]
    assert len(response.body) < 20_000


def test_a_hundred_and_one_bad_items_are_all_told_of(api: Api) -> None:
    content = problem(post(api, [{"title": ""}] * 101), 422)
    pointers = [error["pointer"] for error in content["errors"]]
    assert pointers == [f"#/tasks/{number}/title" for number in range(100)]
    assert content["unnamed"] == 1


def test_a_hundred_bad_items_are_all_named(api: Api) -> None:
    content = problem(post(api, [{"title": "x"}, {"title": ""}] * 100), 422)
    assert len(content["errors"]) == 100
    assert "unnamed" not in content


def test_the_last_item_is_named_beside_unknown_fields_that_are_not(api: Api) -> None:
    """Fields that nobody asked for do not keep a client from learning what else is wrong."""
    many = {"title": "x"} | {f"field{number}": 1 for number in range(99)}
    content = problem(post(api, [many, {"title": "x", "one": 1, "two": 2}, {"title": 5}]), 422)
    assert content["unnamed"] == 2
    assert content["errors"][99]["pointer"] == "#/tasks/1/one"


def test_no_more_mistakes_are_looked_at_one_by_one_than_are_named() -> None:
    """pydantic takes seconds to tell of the half a million that a batch has room for."""
    item = {"title": "x"} | {f"field{number}": 1 for number in range(50)}
    found = bodies._fewer(json.dumps({"tasks": [item] * 100, "more": 1}).encode())
    assert found is not None
    assert found.error_count() == 100


def test_a_name_that_a_client_made_up_is_cut_and_says_so(api: Api) -> None:
    response = post(api, [{"title": "x", "é" * 500_000: 1}])
    [error] = problem(response, 422)["errors"]
    assert unquote(error["pointer"]) == "#/tasks/0/" + "é" * 100 + "…"
    assert "has 500,000 characters" in error["detail"]
    assert len(response.body) < 5_000


def test_an_unknown_kind_is_named_with_its_place(api: Api) -> None:
    [error] = problem(post(api, [{"title": "x"}, {"title": "x", "kind": "z"}]), 422)["errors"]
    assert error["pointer"] == "#/tasks/1/kind"
    assert api.table.count() == 0


def test_a_value_that_the_database_will_not_take_makes_none_of_them(world: World) -> None:
    good, bad = ({"kind": "default", "title": title, "delay": 0} for title in ("x", "x" * 256))
    with pytest.raises(Exception, match="database"):
        world.clients.insert_tasks([good, bad])
    assert world.table.count() == 0


def test_an_item_is_refused_in_a_batch_that_would_be_too_large_alone(api: Api) -> None:
    half = "é" * (MOST_BYTES // 4)
    large = {"title": "x", "description": half, "payload": {"a": half}}
    problem(api.post(json.dumps(large, ensure_ascii=False).encode()), 413)
    [error] = problem(post(api, [{"title": "x"}, large]), 422)["errors"]
    assert error["pointer"] == "#/tasks/1"
    assert "at most 262,144" in error["detail"]
    assert api.table.count() == 0


def test_an_item_may_be_as_large_as_a_task_may_be_alone(api: Api) -> None:
    empty = len('{"title":"x","description":""}')
    task = {"title": "x", "description": "d" * (MOST_BYTES - empty)}
    text = json.dumps(task, separators=(",", ":")).encode()
    assert len(text) == MOST_BYTES
    assert api.post(text).status_code == 201
    assert len(items(post(api, [task]))) == 1
    problem(post(api, [task | {"description": task["description"] + "d"}]), 422)


def test_a_batch_of_more_than_five_mebibytes_is_a_413(api: Api) -> None:
    task = b'{"title":"x","description":"' + b"d" * 200_000 + b'"}'
    fits = b'{"tasks":[' + b",".join([task] * 26) + b"]}"
    assert len(fits) < 5 * 1024 * 1024 < len(fits) + len(task)
    padded = fits + b" " * (5 * 1024 * 1024 - len(fits))
    assert len(items(post(api, padded))) == 26
    content = problem(post(api, padded + b" "), 413)
    assert "5,242,880" in content["detail"]
    assert api.table.count() == 26


@pytest.mark.parametrize("body", [b"[]", b'{"tasks":{}}', b"{}", b'{"tasks":[],"more":1}'])
def test_another_shape_is_refused(api: Api, body: bytes) -> None:
    problem(post(api, body), 422)


def test_a_batch_that_finds_the_queue_down_is_taken_and_sent_by_the_sweeper(api: Api) -> None:
    api.queue.away = True
    ids = {task["id"] for task in items(post(api, [{"title": "x"}] * 25))}
    assert api.table.unsent() == ids
    api.queue.away = False
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent"] == 25
    work_all(api)
    assert {api.table.status(number) for number in ids} == {"completed"}


def test_messages_that_the_queue_refuses_are_known_to_be_missing_and_sent_later(api: Api) -> None:
    api.queue.refused = {3, 17}
    ids = [task["id"] for task in items(post(api, [{"title": "x"}] * 20))]
    assert ids == list(range(1, 21))
    assert api.table.unsent() == {3, 17}
    assert len(api.queue.sent) == 18
    api.queue.refused = set()
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent"] == 2
    work_all(api)
    assert {api.table.status(number) for number in ids} == {"completed"}


def test_a_batch_whose_sending_fails_is_failed_where_that_is_asked_for(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(enqueue_failure="fail")
    api.queue.away = True
    problem(post(api, [{"title": "x"}] * 3), 500)
    assert {row["status"] for row in api.table.run("select status from tasks")} == {"failed"}


def test_tasks_that_are_due_much_later_are_not_sent(api: Api) -> None:
    delays = [0, 10, 2 * HOUR, 3 * HOUR]
    made = items(post(api, [{"title": "x", "delay_seconds": delay} for delay in delays]))
    assert [letter.id for letter in api.queue.sent] == [task["id"] for task in made[:2]]
    assert [round(letter.delay, -1) for letter in api.queue.sent] == [0, 10]
    waits = api.table.run("select dispatch_after < run_at as ahead from tasks order by id")
    assert [row["ahead"] for row in waits] == [False, False, True, True]


def test_a_description_beyond_a_message_is_left_out_of_it_and_the_worker_has_it_whole(
    api_of: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = api_of()
    seen: list[str | None] = []
    handlers = api.runtime._registry._handlers
    monkeypatch.setitem(handlers, "default", lambda task, _context: seen.append(task.description))
    long = "é" * 100_000  # 200,000 bytes, and 600,000 in a message's ASCII
    [made] = items(post(api, [{"title": "x", "description": long}]))
    [stored] = api.queue.stored
    told = {"task_id": made["id"], "title": "x", "description": None, "truncated": True}
    assert json.loads(stored.body) == told
    work_all(api)
    assert seen == [long]
    assert api.table.status(made["id"]) == "completed"


def test_a_batch_goes_to_the_real_queue_in_calls_that_it_takes(
    sqs: Any, queue_name: str, world_of: Callable[..., World]
) -> None:
    """In tens, and no more than a mebibyte in one call."""
    queue = TaskQueue(lambda: sqs, queue_name, f"{queue_name}-dlq")
    world = world_of(queue)
    tasks = [NewTask(title="x", description="d" * 150_000) for _ in range(15)]
    tasks += [NewTask(title="x") for _ in range(15)]
    made = world.service.create_many(NewBatch(tasks=tasks))
    assert world.table.unsent() == set()
    received: set[int] = set()
    while found := Queue(lambda: sqs, queue_name).receive_messages(hidden_for=60):
        received |= {message.task_id for message in found}
    assert received == {task.id for task in made.items}


def work_all(api: Api) -> None:
    while records := api.queue.receive():
        answer = front_door.work({"Records": records}, FakeContext())
        assert answer == {"batchItemFailures": []}
        done = {record["receiptHandle"] for record in records}
        api.queue.stored = [one for one in api.queue.stored if not one.receipts & done]
