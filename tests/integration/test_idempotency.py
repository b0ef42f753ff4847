"""An Idempotency-Key makes a request count once, a unique key makes a task exist once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import Api, problem

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
DAY = 24 * 60 * 60


def post(api: Api, body: Any, path: str = "/tasks", **headers: str) -> Any:
    return api.call("POST", path, body, Content_Type="application/json", **headers)


def keyed(api: Api, body: Any, path: str = "/tasks", key: str = KEY) -> Any:
    return post(api, body, path, Idempotency_Key=key)


def number(response: Any) -> int:
    assert response.status_code in (200, 201), response.body
    return int(json.loads(response.body)["id"])


def test_a_request_that_is_sent_again_makes_no_second_task(api: Api) -> None:
    first, again = (keyed(api, {"title": "x"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert number(first) == number(again)
    assert (api.table.count(), len(api.queue.stored)) == (1, 1)


def test_a_replay_shows_the_task_as_it_is_now(api: Api) -> None:
    made = number(keyed(api, {"title": "x"}))
    api.call("POST", f"/tasks/{made}/cancel")
    assert json.loads(keyed(api, {"title": "x"}).body)["status"] == "cancelled"


@pytest.mark.parametrize(
    "spelled",
    [
        b'{ "payload": {"b": 2, "a": 1},\n "title": "x" }',
        b'{"title":"\\u0078","payload":{"a":1,"b":2},"kind":"default","description":null}',
    ],
)
def test_the_same_request_spelled_otherwise_is_the_same(api: Api, spelled: bytes) -> None:
    made = number(keyed(api, {"title": "x", "payload": {"a": 1, "b": 2}}))
    assert number(keyed(api, spelled)) == made


def test_another_request_under_the_same_key_is_refused(api: Api) -> None:
    keyed(api, {"title": "x"})
    assert problem(keyed(api, {"title": "y"}), 422)["type"].endswith(":key-reused")
    one_as_a_batch = keyed(api, {"tasks": [{"title": "x"}]}, "/tasks/batch")
    assert problem(one_as_a_batch, 422)["type"].endswith(":key-reused")
    assert api.table.count() == 1


@pytest.mark.parametrize("key", ["", '""', '"', '"a', "a b", '"a"b"', '"é"', "x" * 256, "a,b"])
def test_a_malformed_key_is_refused(api: Api, key: str) -> None:
    assert problem(keyed(api, {"title": "x"}, key=key), 400)["type"].endswith(":malformed-header")
    assert api.table.count() == 0


@pytest.mark.parametrize("key", ["8e03978e-40d5", '"with a space"', "x" * 255])
def test_a_key_may_be_a_string_or_a_bare_token(api: Api, key: str) -> None:
    assert number(keyed(api, {"title": "x"}, key=key)) == number(
        keyed(api, {"title": "x"}, key=key)
    )


def test_a_batch_is_replayed_in_its_order(api: Api) -> None:
    body = {"tasks": [{"title": f"t{n}"} for n in range(5)]}
    first, again = (keyed(api, body, "/tasks/batch") for _ in range(2))
    items = [[one["id"] for one in json.loads(made.body)["items"]] for made in (first, again)]
    assert items[0] == items[1]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.table.count() == 5


def test_a_request_that_failed_does_not_use_up_its_key(api: Api) -> None:
    problem(keyed(api, {"title": "x", "kind": "unheard of"}), 422)
    assert keyed(api, {"title": "x"}).status_code == 201


def test_a_replay_of_a_task_that_was_deleted_says_so(api: Api) -> None:
    made = number(keyed(api, {"title": "x"}))
    api.call("POST", f"/tasks/{made}/cancel")
    assert api.call("DELETE", f"/tasks/{made}").status_code == 204
    assert "deleted" in problem(keyed(api, {"title": "x"}), 404)["detail"]


def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    made = number(keyed(api, {"title": "x"}))
    for age, known in ((DAY - 60, True), (DAY + 60, False)):
        past = "update idempotency_keys set created_at = now() - make_interval(secs => %s)"
        api.table.run(past, [age])
        api.runtime.sweeper.sweep(lambda: 50.0)
        assert (number(keyed(api, {"title": "x"})) == made) == known


def test_a_replay_of_a_task_that_could_not_be_queued_fails_again(
    api_of: Callable[..., Api],
) -> None:
    api = api_of(enqueue_failure="fail")
    api.queue.away = True
    first = problem(keyed(api, {"title": "x"}), 500)
    api.queue.away = False
    again = problem(keyed(api, {"title": "x"}), 500)
    assert (first["type"], first["detail"]) == (again["type"], again["detail"])
    assert api.table.count() == 1


@pytest.mark.parametrize("by", ["an Idempotency-Key", "a unique key"])
def test_a_thousand_requests_at_once_make_one_task(api_of: Callable[..., Api], by: str) -> None:
    api = api_of(database_connections=32, database_patience=60)
    from chalicelib.schemas import NewTask

    unique = "u" if by == "a unique key" else None
    key = None if unique else "k"

    def create(_: int) -> int:
        new = NewTask(title="x", unique_key=unique)
        return api.runtime.serve(None).create(new, key=key).task.id

    with ThreadPoolExecutor(32) as clients:
        ids = set(clients.map(create, range(1000)))
    assert len(ids) == 1
    assert (api.table.count(), len(api.queue.stored)) == (1, 1)


def test_a_task_whose_unique_key_is_taken_is_the_one_that_has_it(api: Api) -> None:
    body = {"title": "x", "unique_key": "nightly"}
    first, again = post(api, body), post(api, body | {"title": "y"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert number(first) == number(again)
    assert json.loads(again.body)["title"] == "x"
    assert len(api.queue.stored) == 1


@pytest.mark.parametrize(("scope", "anew"), [("open", True), ("forever", False)])
def test_a_unique_key_counts_as_long_as_its_scope_says(api: Api, scope: str, anew: bool) -> None:  # noqa: FBT001
    body = {"title": "x", "unique_key": "nightly", "unique_scope": scope}
    made = number(post(api, body))
    api.call("POST", f"/tasks/{made}/cancel")
    assert (number(post(api, body)) != made) == anew


def test_a_unique_key_twice_in_a_batch_is_one_task(api: Api) -> None:
    tasks = [{"title": f"t{n}", "unique_key": key} for n, key in enumerate(["a", "b", "a"])]
    made = post(api, {"tasks": [*tasks, {"title": "plain"}]}, "/tasks/batch")
    ids = [one["id"] for one in json.loads(made.body)["items"]]
    assert ids[0] == ids[2]
    assert len(set(ids)) == 3 == api.table.count() == len(api.queue.stored)


def test_a_task_is_not_tried_again_while_another_has_its_unique_key(api: Api) -> None:
    body = {"title": "x", "unique_key": "nightly"}
    old = number(post(api, body))
    api.call("POST", f"/tasks/{old}/cancel")
    post(api, body)
    refused = problem(api.call("POST", f"/tasks/{old}/retry"), 409)
    assert refused["detail"] == f"Another task has task {old}'s unique key."
    assert refused["current"] == "cancelled"
    many = post(api, {"status": "cancelled"}, "/tasks/retry")
    assert json.loads(many.body) == {"ids": [], "more": False}


def test_of_failed_tasks_with_one_unique_key_the_newest_is_tried_again(api: Api) -> None:
    columns = {"unique_key": "u", "unique_scope": "open"}
    ids = [api.table.arrange("failed", **columns) for _ in range(3)]
    other = api.table.arrange("failed")
    answer = json.loads(post(api, {}, "/tasks/retry").body)
    assert answer == {"ids": [ids[-1], other], "more": False}
    assert [api.table.status(one) for one in ids] == ["failed", "failed", "pending"]


@pytest.mark.parametrize("key", ["", "é", "a b", "x" * 201])
def test_a_unique_key_is_printable_and_short(api: Api, key: str) -> None:
    content = problem(post(api, {"title": "x", "unique_key": key}), 422)
    assert content["errors"][0]["pointer"] == "#/unique_key"


def test_a_scope_without_a_unique_key_is_refused(api: Api) -> None:
    content = problem(post(api, {"title": "x", "unique_scope": "open"}), 422)
    assert content["errors"][0]["detail"] == "unique_scope needs a unique_key"
