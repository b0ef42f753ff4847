"""The HTTP contract, on a real database."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib import runtime
from chalicelib.errors import QueueUnavailable
from tests.fakes import FakeContext, Heard
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.queue import Letter

from tests.integration.api import Api, problem

SEED_KEYS = ["id", "title", "description", "status", "created_at", "updated_at", "result"]
MORE_KEYS = [
    "kind",
    "payload",
    "attempt",
    "attempt_limit",
    "error",
    "run_at",
    "started_at",
    "finished_at",
    "expires_at",
    "cancel_requested_at",
    "tags",
    "unique_key",
    "callback_url",
    "limit_key",
    "priority",
    "progress",
    "trace_id",
    "links",
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_a_created_task_has_exactly_the_documented_shape(api: Api) -> None:
    response = api.post({"title": "Process User Data", "description": "Extract and transform"})
    assert response.status_code == 201
    assert response.headers["Content-Type"] == "application/json"
    content = json.loads(response.body)
    assert list(content) == SEED_KEYS + MORE_KEYS
    assert response.headers["Location"] == f"/tasks/{content['id']}"
    assert type(content["id"]) is int
    assert TIME.fullmatch(content.pop("created_at"))
    assert TIME.fullmatch(content.pop("run_at"))
    assert content == {
        "id": content["id"],
        "title": "Process User Data",
        "description": "Extract and transform",
        "status": "pending",
        "updated_at": None,
        "result": None,
        "kind": "default",
        "payload": None,
        "attempt": 0,
        "attempt_limit": 3,
        "error": None,
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "cancel_requested_at": None,
        "tags": [],
        "unique_key": None,
        "callback_url": None,
        "limit_key": None,
        "priority": "normal",
        "progress": None,
        "trace_id": None,
        "links": {
            "self": f"/tasks/{content['id']}",
            "attempts": f"/tasks/{content['id']}/attempts",
            "cancel": f"/tasks/{content['id']}/cancel",
        },
    }


def test_the_message_of_a_created_task_is_the_documented_one(api: Api) -> None:
    number = json.loads(api.post({"title": "é"}).body)["id"]
    [stored] = api.queue.stored
    assert stored.body == f'{{"task_id": {number}, "title": "\\u00e9", "description": null}}'


def test_a_task_goes_from_post_to_completed(api: Api) -> None:
    posted = api.post({"title": "Process User Data", "payload": {"n": [1, None, 2.5]}})
    number = json.loads(posted.body)["id"]
    answer = front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert answer == {"batchItemFailures": []}
    response = api.get(f"/tasks/{number}")
    assert response.status_code == 200
    content = json.loads(response.body)
    assert list(content) == SEED_KEYS + MORE_KEYS
    assert (content["status"], content["attempt"]) == ("completed", 1)
    assert re.fullmatch(r"Processed task 'Process User Data' at [-\d]+T[:.\d]+", content["result"])
    assert content["payload"] == {"n": [1, None, 2.5]}
    for key in ("created_at", "updated_at", "run_at", "started_at", "finished_at"):
        assert TIME.fullmatch(content[key])
    assert content["updated_at"] >= content["started_at"] >= content["created_at"]


@pytest.mark.parametrize("result", [None, True, 3, 2.5, "text", [1, [2]], {"é": {"b": None}}])
def test_a_result_may_be_any_json(api: Api, result: Any) -> None:
    number = api.table.arrange("completed", result=json.dumps(result))
    assert json.loads(api.get(f"/tasks/{number}").body)["result"] == result


def test_a_result_at_the_deepest_can_still_be_shown_and_listed(api: Api) -> None:
    deep = "[" * 201 + "]" * 201
    number = api.table.arrange("completed", result=deep)
    assert api.get(f"/tasks/{number}").status_code == 200
    assert api.get("/tasks").status_code == 200


def test_attempts_that_were_given_back_are_not_shown(api: Api) -> None:
    number = api.table.arrange("retrying", attempt=5, attempt_limit=7, release_count=4)
    content = json.loads(api.get(f"/tasks/{number}").body)
    assert (content["attempt"], content["attempt_limit"]) == (1, 3)


def test_nothing_internal_is_shown(api: Api) -> None:
    number = api.table.arrange("processing", request_id="request-x", message_id="message-x")
    shown = api.get(f"/tasks/{number}").body.decode()
    for word in ("token", "lease", "dispatch", "request-x", "message-x", "release"):
        assert word not in shown


@pytest.mark.parametrize(
    "body",
    [
        {"title": "x" * 255},
        {"title": "\U0001f600" * 255},
        {"title": "x", "description": None, "payload": None, "kind": "default"},
        {"title": "x", "description": "'; drop table tasks; --"},
        {"title": "x", "payload": {}},
        {"title": "\u202e \x07 x"},
        {"title": "x", "payload": {"big": 10**300, "small": 5e-324}},
    ],
)
def test_unusual_but_good_input_is_kept_as_it_is(api: Api, body: dict[str, Any]) -> None:
    number = json.loads(api.post(body).body)["id"]
    content = json.loads(api.get(f"/tasks/{number}").body)
    assert {key: content[key] for key in body} == body


def test_a_list_is_walked_by_its_links_newest_first(api: Api) -> None:
    ids = [api.table.arrange("pending") for _ in range(5)]
    seen: list[int] = []
    path: str | None = "/tasks?limit=2"
    while path:
        response = api.get(path)
        assert response.status_code == 200
        page = json.loads(response.body)
        assert list(page) == ["items", "next_cursor"]
        assert all(list(item) == SEED_KEYS + MORE_KEYS for item in page["items"])
        seen += [item["id"] for item in page["items"]]
        assert len(seen) <= 5
        api.table.arrange("pending")  # meanwhile
        link = response.headers.get("Link")
        assert (link is None) == (page["next_cursor"] is None)
        match = re.fullmatch(r'<(/tasks\?[^>]+)>; rel="next"', link or "")
        assert (match is None) == (link is None)
        path = match[1] if match else None
    assert seen == ids[::-1]


def test_fifty_tasks_are_listed_unless_told_otherwise(api: Api) -> None:
    api.table.run("insert into tasks (title) select 'x' from generate_series(1, 60)")
    assert len(json.loads(api.get("/tasks").body)["items"]) == 50
    assert len(json.loads(api.get("/tasks?limit=100").body)["items"]) == 60


def test_a_queue_that_is_down_does_not_lose_the_task(api: Api) -> None:
    api.queue.away = True
    response = api.post({"title": "x"})
    number = json.loads(response.body)["id"]
    assert response.status_code == 201
    assert api.table.unsent() == {number}
    api.queue.away = False
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent"] == 1
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert api.table.status(number) == "completed"


def test_a_queue_that_is_down_fails_the_task_where_that_is_asked_for(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(enqueue_failure="fail")
    api.queue.away = True
    content = problem(api.post({"title": "x"}), 500)
    text = "Failed to send to SQS: EndpointConnectionError: nobody is there"
    assert content["detail"] == text
    [row] = api.table.run("select * from tasks")
    assert (row["status"], row["result"]) == ("failed", text)
    assert row["error"]["code"] == "enqueue_failed"


def test_a_task_that_a_worker_began_is_not_falsified_when_its_sending_seemed_to_fail(
    api_of: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS took the message, a worker ran it, and only then was the reply lost."""
    api = api_of(enqueue_failure="fail")
    send = api.queue.send

    def arrive_without_reply(letters: Sequence[Letter]) -> None:
        send(letters)
        front_door.work({"Records": api.queue.receive()}, FakeContext())
        raise QueueUnavailable("ReadTimeoutError", unsent=[letters[0].id])

    monkeypatch.setattr(api.queue, "send", arrive_without_reply)
    response = api.post({"title": "x"})
    assert response.status_code == 201
    assert api.table.status(json.loads(response.body)["id"]) == "completed"


@pytest.mark.parametrize("call", ["GET /tasks/1", "GET /tasks", "POST /tasks", "GET /readyz"])
def test_a_database_that_is_down_is_a_503_in_time(api_of: Callable[..., Api], call: str) -> None:
    api = api_of("postgresql://postgres:canary-1@127.0.0.1:1/none")
    began = time.monotonic()
    method, path = call.split()
    response = api.call(method, path, {"title": "x"}, Content_Type="application/json")
    assert time.monotonic() - began < 4
    problem(response, 503)
    assert response.headers["Retry-After"] == "5"
    assert b"canary" not in response.body
    assert b"127.0.0.1" not in response.body
    assert api.queue.stored == []


def test_health_asks_nobody(api_of: Callable[..., Api]) -> None:
    response = api_of("postgresql://postgres@127.0.0.1:1/none").get("/healthz")
    assert (response.status_code, json.loads(response.body)) == (200, {"status": "ok"})


def test_readiness_is_a_database_with_this_codes_schema(api: Api) -> None:
    response = api.get("/readyz")
    assert (response.status_code, json.loads(response.body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("spoil", ["delete from schema_migrations", "drop table schema_migrations"])
def test_a_schema_that_is_older_than_the_code_is_not_ready(
    api_of: Callable[..., Api], own_database_url: str, spoil: str
) -> None:
    table = Table(own_database_url)
    table.run(spoil)
    table.close()
    content = problem(api_of(own_database_url).get("/readyz"), 503)
    assert "migrate it" in content["detail"]


def test_a_mistake_of_ours_is_a_500_that_tells_nothing_of_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    def break_down(_authorization: str) -> None:
        raise ZeroDivisionError("canary-2")

    monkeypatch.setattr(api.runtime, "serve", break_down)
    response = api.get("/tasks/1")
    problem(response, 500)
    assert b"canary" not in response.body
    assert "request_failed" in heard.events()


def test_links_keep_the_stages_prefix() -> None:
    """API Gateway tells a view's path without the stage, and the whole path beside it."""
    from chalicelib.web import answers

    class Request:
        path = "/tasks"
        context = {"path": "/prod/tasks/"}  # noqa: RUF012

    assert answers.path(Request()) == "/prod/tasks"  # type: ignore[arg-type]


def test_the_migrator_and_the_sweeper_answer_what_they_did(api: Api) -> None:
    assert front_door.migrate({}, FakeContext()) == {"applied": []}
    event = dict.fromkeys(
        ("version", "account", "region", "detail-type", "source", "time", "id", "resources"), ""
    )
    api.table.arrange("pending")
    done = front_door.sweep(event | {"detail": {"queue_lost": True}}, FakeContext())
    assert done["sent"] == 1


def test_a_page_ends_before_it_is_larger_than_lambda_can_answer(api: Api) -> None:
    ids = [api.table.arrange("pending", description="é" * 120_000) for _ in range(25)]
    seen: list[int] = []
    path = "/tasks"
    while path:
        response = api.get(path)
        assert len(response.body) < 4.2 * 1024 * 1024
        content = json.loads(response.body)
        seen += [task["id"] for task in content["items"]]
        cursor = content["next_cursor"]
        path = f"/tasks?cursor={cursor}" if cursor else ""
    assert seen == ids[::-1]


def test_numbers_that_would_be_written_out_beyond_measure_are_refused(api: Api) -> None:
    content = problem(api.post({"title": "x", "payload": {"a": [1e308] * 3000}}), 422)
    assert content["errors"][0]["pointer"] == "#/payload"
    assert "written out" in content["errors"][0]["detail"]
    fine = api.post({"title": "x", "payload": {"a": [1e308, 5e-324, 0.1]}})
    assert fine.status_code == 201
