"""What clients send, handlers say and databases quote stays out of logs and error replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.errors import StoreUnavailable
from chalicelib.logs import JsonLines
from chalicelib.registry import Registry
from tests.fakes import FakeContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes import Heard
    from tests.integration.api import Api

CANARY = "canary-7f3a"


def _lines(heard: Heard) -> str:
    return "\n".join(JsonLines().format(record) for record in heard.records)


def test_a_tasks_contents_are_logged_neither_when_it_succeeds_nor_when_it_fails(
    api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    monkeypatch.setattr(api.runtime.worker, "_run", registry.run)

    @registry.handler("default")
    def work(task: Any, context: Any) -> Any:  # noqa: ARG001
        if task.payload["fail"]:
            raise ValueError(task.title)
        return task.title

    for fail in (True, False):
        contents = {"title": CANARY, "description": CANARY, "payload": {CANARY: 1, "fail": fail}}
        assert api.post(contents).status_code == 201
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert {"task_created", "handler_raised", "task_retrying", "task_completed"} <= set(
        heard.events()
    )
    assert CANARY not in _lines(heard)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"title": {CANARY}}}',
        f'{{"title": 5, "{CANARY}": 1}}',
        f'{{"title": "x", "kind": "{CANARY}"}}',
        f'{{"title": "\\u0000{CANARY}"}}',
        f'{{"title": "x", "payload": "{CANARY}"}}',
    ],
)
def test_what_is_wrong_with_a_body_is_told_without_its_values(
    api: Api, heard: Heard, body: str
) -> None:
    response = api.call("POST", "/tasks", body.encode(), Content_Type="application/json")
    assert 400 <= response.status_code < 500
    told = json.loads(response.body)
    pointers = [one.pop("pointer") for one in told.get("errors", [])]
    shown = json.dumps(told).replace(f"#/{CANARY}", "")  # a field's name is where it is wrong
    assert pointers or response.status_code == 400
    assert CANARY not in shown
    assert CANARY not in _lines(heard)


def test_a_message_of_a_stranger_is_reported_without_its_body(api: Api, heard: Heard) -> None:
    api.queue.put(CANARY)
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert heard.events()[-1] == "message_unreadable"
    assert CANARY not in _lines(heard)


def test_a_database_that_quotes_a_value_is_not_quoted(api: Api, heard: Heard) -> None:
    """PostgreSQL's errors hold what was sent; one that nobody foresaw must not show it."""
    api.table.run("alter table tasks add constraint surprise check (title not like 'canary%')")
    try:
        response = api.post({"title": CANARY, "description": CANARY})
    finally:
        api.table.run("alter table tasks drop constraint surprise")
    assert response.status_code == 500
    assert CANARY.encode() not in response.body
    assert "request_failed" in heard.events()
    assert CANARY not in _lines(heard)


def test_a_database_url_is_told_to_nobody(api_of: Callable[..., Api], heard: Heard) -> None:
    api = api_of(f"postgresql://{CANARY}:{CANARY}@127.0.0.1:1/{CANARY}")
    response = api.get("/tasks/1")
    assert response.status_code == 503
    assert CANARY.encode() not in response.body
    with pytest.raises(StoreUnavailable) as caught:
        api.runtime.serve(None).get(1)
    assert CANARY not in str(caught.value)
    assert CANARY not in _lines(heard)
