"""A request with an Idempotency-Key is carried out once, however often it is sent."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Request

from chalicelib import runtime
from chalicelib.errors import KeyReused
from chalicelib.schemas import NewTask
from tests.integration.api import Api, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.test import HTTPResponse

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
DAY = 24 * 60 * 60


def post(api: Api, body: Any, key: str = KEY) -> HTTPResponse:
    return api.post(body, Idempotency_Key=key)


def post_batch(api: Api, *tasks: Any, key: str = KEY) -> HTTPResponse:
    body = {"tasks": tasks}
    return api.call(
        "POST", "/tasks/batch", body, Content_Type="application/json", Idempotency_Key=key
    )


def created(response: HTTPResponse) -> int:
    assert response.status_code == 201, response.body
    number: int = json.loads(response.body)["id"]
    return number


def replayed(response: HTTPResponse) -> bool:
    told = response.headers.get("Idempotency-Replayed")
    assert told in (None, "true")
    return told is not None


def test_the_same_request_again_is_answered_with_the_same_task(api: Api) -> None:
    first, second = (post(api, {"title": "once"}) for _ in range(2))
    assert created(first) == created(second)
    assert [replayed(first), replayed(second)] == [False, True]
    assert first.headers["Location"] == second.headers["Location"]
    assert (api.table.count(), len(api.queue.sent)) == (1, 1)


def test_a_replay_shows_the_task_as_it_is_now(api: Api) -> None:
    number = created(post(api, {"title": "once"}))
    api.runtime.serve(None).cancel(number)
    again = post(api, {"title": "once"})
    assert created(again) == number
    assert json.loads(again.body)["status"] == "cancelled"


def test_without_a_key_the_same_request_makes_another_task(api: Api) -> None:
    assert created(api.post({"title": "x"})) != created(api.post({"title": "x"}))


@pytest.mark.parametrize(
    "other",
    [
        {"title": "another"},
        {"title": "once", "description": "more"},
        {"title": "once", "payload": {"a": 1.5}},
        {"title": "once", "delay_seconds": 1},
        {"title": "once", "tags": ["t"]},
    ],
)
def test_a_key_that_was_used_for_something_else_is_refused(api: Api, other: dict[str, Any]) -> None:
    created(post(api, {"title": "once"}))
    content = problem(post(api, other), 422)
    assert content["type"] == "urn:problem-type:tasks:key-reused"
    assert (api.table.count(), len(api.queue.sent)) == (1, 1)


SPELLED = [
    b'{"title":"once","payload":{"a":1,"b":[true,null]},"run_at":"2090-01-01T00:00:00Z"}',
    b'{"run_at": "2090-01-01T00:00:00Z","payload":{"b":[true,null ],\n"a":1},"title":"\\u006fnce"}',
    b'{"title":"once","payload":{"b":[true,null],"a":1},"run_at":"2090-01-01T02:00:00+02:00"}',
    (
        b'{"title":"once","payload":{"a":1,"b":[true,null]},"run_at":"2090-01-01T00:00:00.000Z",'
        b'"description":null,"kind":"default","tags":[],"delay_seconds":null,"expires_at":null,'
        b'"unique_key":null,"unique_scope":null}'
    ),
]


@pytest.mark.parametrize("body", SPELLED)
def test_the_same_request_spelled_differently_is_the_same(api: Api, body: bytes) -> None:
    first = created(post(api, SPELLED[0]))
    again = post(api, body)
    assert created(again) == first
    assert replayed(again)


def test_the_default_scope_of_a_unique_key_may_be_said_or_not(api: Api) -> None:
    body = {"title": "once", "unique_key": "u"}
    first = created(post(api, body))
    assert created(post(api, body | {"unique_scope": "open"})) == first
    problem(post(api, body | {"unique_scope": "forever"}), 422)


@pytest.mark.parametrize("key", ["8e03978e-40d5", '"a"', "a" * 255, f'"{" !#~" * 60}"', ' "a" '])
def test_a_key_may_be_a_string_or_a_bare_word(api: Api, key: str) -> None:
    assert created(post(api, {"title": "x"}, key)) == created(post(api, {"title": "x"}, key))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"a\\b"', "a\\b"),
        ('"' + r"\"" * 255 + '"', '"' * 255),
        ('"a";p=1', "a"),
        ('"a"; p; q="x;\\"y"; *r.s-t=?1', "a"),
    ],
)
def test_escapes_and_parameters_are_read_as_their_rfc_says(api: Api, text: str, key: str) -> None:
    created(post(api, {"title": "x"}, text))
    assert api.table.run("select key from idempotency_keys") == [{"key": key}]


@pytest.mark.parametrize("sent", [['"a"', '"b"'], ["a", "b"], ['"a"', '"a"']])
def test_two_keys_are_a_400(api: Api, monkeypatch: pytest.MonkeyPatch, sent: list[str]) -> None:
    """Only API Gateway shows both; Chalice, and its local server, the last one."""
    event = Request.to_original_event
    both = {"multiValueHeaders": {"Idempotency-Key": sent, "Content-Type": ["application/json"]}}
    monkeypatch.setattr(Request, "to_original_event", lambda self: event(self) | both)
    problem(post(api, {"title": "x"}, sent[1]), 400)
    assert api.table.count() == 0


def test_a_bare_word_is_the_same_key_as_the_string(api: Api) -> None:
    assert created(post(api, {"title": "x"}, "abc")) == created(post(api, {"title": "x"}, '"abc"'))


@pytest.mark.parametrize(
    "key",
    [
        "",
        '""',
        '"',
        '"a',
        'a"b',
        '"a","b"',
        "a b",
        "a" * 256,
        f'"{"a" * 256}"',
        '"\u00e9"',
        '"a\\"',
        r'"a\b"',
        '"a";',
        '"a";P=1',
        '"a";p="',
        "a;p=1",
        '"' + r"\"" * 256 + '"',
    ],
)
def test_a_key_of_another_form_is_a_400(api: Api, key: str) -> None:
    content = problem(post(api, {"title": "x"}, key), 400)
    assert content["type"] == "urn:problem-type:tasks:malformed-header"
    assert "Idempotency-Key" in content["detail"]
    assert api.table.count() == 0


def test_a_batch_is_replayed_whole_and_in_order(api: Api) -> None:
    tasks = [{"title": str(number)} for number in range(25)]
    first, second = (post_batch(api, *tasks) for _ in range(2))
    assert [first.status_code, second.status_code] == [201, 201]
    assert [replayed(first), replayed(second)] == [False, True]
    assert [t["id"] for t in json.loads(first.body)["items"]] == [
        t["id"] for t in json.loads(second.body)["items"]
    ]
    assert [t["title"] for t in json.loads(second.body)["items"]] == [t["title"] for t in tasks]
    assert (api.table.count(), len(api.queue.sent)) == (25, 25)


def test_a_batch_in_another_order_is_another_request(api: Api) -> None:
    assert post_batch(api, {"title": "a"}, {"title": "b"}).status_code == 201
    problem(post_batch(api, {"title": "b"}, {"title": "a"}), 422)


def test_a_task_and_a_batch_of_that_task_are_different_requests(api: Api) -> None:
    created(post(api, {"title": "x"}))
    problem(post_batch(api, {"title": "x"}), 422)
    assert post_batch(api, {"title": "y"}, key='"other"').status_code == 201
    problem(post(api, {"title": "y"}, '"other"'), 422)
    assert api.table.count() == 2


def test_a_task_that_is_deleted_is_not_made_again_by_a_replay(api: Api) -> None:
    number = created(post(api, {"title": "x"}))
    api.runtime.serve(None).cancel(number)
    api.runtime.serve(None).delete(number)
    content = problem(post(api, {"title": "x"}), 404)
    assert "Idempotency-Key" in content["detail"]
    assert api.table.count() == 0


def test_a_batch_of_which_a_task_is_deleted_is_a_404_on_replay(api: Api) -> None:
    tasks = [{"title": "a"}, {"title": "b"}]
    first = json.loads(post_batch(api, *tasks).body)["items"][0]["id"]
    api.runtime.serve(None).cancel(first)
    api.runtime.serve(None).delete(first)
    problem(post_batch(api, *tasks), 404)


@pytest.mark.parametrize(("age", "known"), [(DAY - 60, True), (DAY + 60, False)])
def test_a_key_is_forgotten_after_a_day(api: Api, age: float, known: bool) -> None:  # noqa: FBT001
    first = created(post(api, {"title": "x"}))
    for table in ("tasks", "idempotency_keys"):
        earlier = f"update {table} set created_at = created_at - make_interval(secs => %s)"  # noqa: S608
        api.table.run(earlier, [age])
    runtime.current().sweeper.sweep(lambda: 50.0)
    second = created(post(api, {"title": "x"}))
    assert (second == first) == known
    assert api.table.count() == (1 if known else 2)


@pytest.mark.parametrize(
    ("bad", "status"),
    [({"title": ""}, 422), ({"title": "x", "kind": "unknown"}, 422), (b"{", 400)],
)
def test_a_request_that_was_refused_does_not_use_up_its_key(
    api: Api, bad: Any, status: int
) -> None:
    problem(post(api, bad), status)
    created(post(api, {"title": "mended"}))


def test_a_request_that_the_database_could_not_take_does_not_use_up_its_key(
    api_of: Callable[..., Api],
) -> None:
    problem(post(api_of("postgresql://postgres@127.0.0.1:1/none"), {"title": "x"}), 503)
    assert not replayed(post(api_of(), {"title": "y"}))


def test_a_request_that_was_answered_with_a_500_is_answered_so_again(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(enqueue_failure="fail")
    api.queue.away = True
    first = problem(post(api, {"title": "x"}), 500)
    api.queue.away = False
    second = problem(post(api, {"title": "x"}), 500)
    assert {**first, "request_id": ""} == {**second, "request_id": ""}
    assert (api.table.count(), api.queue.sent) == (1, [])


def test_a_replay_is_answered_with_the_status_of_the_first_answer(api: Api) -> None:
    """A unique key that is taken is a 200, and stays one when it is asked for again."""
    body = {"title": "x", "unique_key": "u"}
    assert post(api, body, '"one"').status_code == 201
    for _ in range(2):
        taken = post(api, body, '"two"')
        assert taken.status_code == 200
    assert replayed(taken)
    assert post(api, body, '"one"').status_code == 201


@pytest.mark.parametrize("asked", ["key", "unique_key", "both"])
def test_a_thousand_clients_at_once_make_one_task(api_of: Callable[..., Api], asked: str) -> None:
    api = api_of(database_connections=16, database_patience=30)
    desk = api.runtime.serve(None)
    new = NewTask(title="x", unique_key=None if asked == "key" else "u")
    key = None if asked == "unique_key" else "k"
    with ThreadPoolExecutor(32) as clients:
        made = list(clients.map(lambda _: desk.create(new, key=key), range(1000)))
    assert len({one.task.id for one in made}) == 1
    assert api.table.count() == 1
    assert len(api.queue.sent) == 1
    assert sum(one.created and not one.replayed for one in made) == 1
    if asked != "unique_key":
        assert sum(one.replayed for one in made) == 999


def test_different_requests_with_one_key_at_once_are_one_task_and_refusals(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(database_connections=16, database_patience=30)
    desk = api.runtime.serve(None)

    def ask(number: int) -> int | None:
        try:
            return desk.create(NewTask(title=f"t{number}"), key="k").task.id
        except KeyReused:
            return None

    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(ask, range(100)))
    assert api.table.count() == 1
    assert [one for one in answers if one] == [api.table.run("select id from tasks")[0]["id"]]
