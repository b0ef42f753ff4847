"""The limits of a kind, over HTTP: operators set them, and tasks are held back by them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import access
from chalicelib.errors import Forbidden
from chalicelib.store import LimitStore
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from chalice.test import HTTPResponse

NONE = {"paused": False, "running": None, "running_per_key": None, "rate": None, "burst": None}
NOBODY = {"processing": 0, "called": 0, "parked": 0, "promised": 0, "count_limit": 10_000}


def put(api: Api, body: Any, kind: str = "default", **headers: str) -> HTTPResponse:
    path = f"/kinds/{kind}/limits"
    return api.call("PUT", path, body, Content_Type="application/json", **headers)


def act(api: Api, action: str, **headers: str) -> Any:
    response = api.call("POST", f"/kinds/default/{action}", **headers)
    assert response.status_code == 200
    return json.loads(response.body)


def work(api: Api) -> int:
    """Let a worker have what is on the queue, and return how many messages that were."""
    records: list[dict[str, Any]] = api.queue.receive()
    answer = api.runtime.work({"Records": records}, FakeContext())
    kept = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
    gone = {one["receiptHandle"] for one in records if one["messageId"] not in kept}
    api.queue.stored = [one for one in api.queue.stored if not one.receipts & gone]
    return len(records)


def test_a_kind_has_no_limits_before_it_is_given_any(api: Api) -> None:
    response = api.get("/kinds/default/limits")
    assert json.loads(response.body) == {"kind": "default"} | NONE | NOBODY


def test_limits_are_set_all_together_and_taken_away_the_same_way(api: Api) -> None:
    given = {"running": 20, "running_per_key": 2, "rate": 5.0, "burst": 10}
    assert json.loads(put(api, given).body) == {"kind": "default"} | NONE | given | NOBODY
    assert json.loads(put(api, {"running": 3}).body)["rate"] is None
    assert json.loads(put(api, {}).body) == {"kind": "default"} | NONE | NOBODY


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (1, 1), (2.5, 3)])
def test_a_rate_without_a_burst_lets_in_at_once_what_a_second_allows(
    api: Api, rate: float, burst: int
) -> None:
    assert json.loads(put(api, {"rate": rate}).body)["burst"] == burst


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"running": 0}, "#/running"),
        ({"running": "3"}, "#/running"),
        ({"running_per_key": 100_001}, "#/running_per_key"),
        ({"rate": 0}, "#/rate"),
        ({"rate": 10_001}, "#/rate"),
        ({"rate": True}, "#/rate"),
        ({"rate": 1, "burst": 1.5}, "#/burst"),
        ({"burst": 5}, "#"),
        ({"speed": 5}, "#/speed"),
    ],
)
def test_limits_that_cannot_be_are_refused(api: Api, body: Any, place: str) -> None:
    told = problem(put(api, body), 422)
    assert [one["pointer"] for one in told["errors"]] == [place]
    assert json.loads(api.get("/kinds/default/limits").body) == {"kind": "default"} | NONE | NOBODY


@pytest.mark.parametrize(
    ("method", "action"), [("GET", "limits"), ("PUT", "limits"), ("POST", "pause")]
)
def test_a_kind_without_a_handler_is_not_there(api: Api, method: str, action: str) -> None:
    response = api.call(method, f"/kinds/defualt/{action}", {}, Content_Type="application/json")
    told = problem(response, 404)
    assert told["type"] == "urn:problem-type:tasks:kind-not-found"
    assert "default" in told["detail"]
    assert api.table.run("select * from kind_limits") == []


def test_a_kind_that_has_lost_its_handler_is_resumed_and_then_gone(api: Api) -> None:
    api.table.run("insert into kind_limits (kind, paused) values ('retired', true)")
    assert json.loads(api.get("/kinds/retired/limits").body)["paused"]
    response = api.call("POST", "/kinds/retired/resume")
    assert not json.loads(response.body)["paused"]
    problem(api.get("/kinds/retired/limits"), 404)


def test_a_kind_is_percent_encoded_in_a_path_like_anything_else(api: Api) -> None:
    assert json.loads(api.get("/kinds/def%61ult/limits").body)["kind"] == "default"
    for path in ("/kinds/default%00/limits", "/kinds/%ff/limits"):
        problem(api.get(path), 404)


def test_only_an_operator_may_see_and_set_limits(keyed: Api) -> None:
    client = bearer(keyed.key())
    problem(keyed.get("/kinds/default/limits", **client), 403)
    problem(put(keyed, {"running": 1}, **client), 403)
    problem(keyed.call("POST", "/kinds/default/pause", **client), 403)
    assert keyed.table.run("select * from kind_limits") == []
    operator = bearer(keyed.key("acme", "admin"))
    assert act(keyed, "pause", **operator)["paused"]


@pytest.mark.parametrize("scopes", [["tasks:read"], ["tasks:write"], ["tasks:read", "tasks:write"]])
def test_the_statement_that_sets_limits_asks_for_an_operator_itself(
    keyed: Api, scopes: list[str]
) -> None:
    caller = access.identify(f"Bearer {keyed.key('acme', *scopes)}")
    store = LimitStore(keyed.runtime.database.query, keyed.runtime.settings, caller)
    with pytest.raises(Forbidden):
        store.write_limits("default", paused=True)
    assert keyed.table.run("select * from kind_limits") == []


def test_tasks_of_a_paused_kind_wait_and_go_on_when_it_is_resumed(api: Api) -> None:
    assert act(api, "pause")["paused"]
    ids = [json.loads(api.post({"title": "x"}).body)["id"] for _ in range(3)]
    assert work(api) == 3
    assert act(api, "pause")["parked"] == 3
    shown = json.loads(api.get(f"/tasks/{ids[0]}").body)
    assert (shown["status"], shown["attempt"], shown["updated_at"]) == ("pending", 0, None)
    assert work(api) == 0
    resumed = act(api, "resume")
    assert (resumed["paused"], resumed["parked"]) == (False, 0)
    assert work(api) == 3
    assert [api.table.status(one) for one in ids] == ["completed"] * 3


def test_setting_limits_leaves_a_pause_as_it_is(api: Api) -> None:
    act(api, "pause")
    assert json.loads(put(api, {"running": 1}).body)["paused"]
    assert act(api, "resume")["running"] == 1


def test_a_resumed_kind_goes_on_within_its_limits(api: Api) -> None:
    act(api, "pause")
    for _ in range(5):
        api.post({"title": "x"})
    work(api)
    put(api, {"running": 2})
    assert (act(api, "resume")["called"], work(api)) == (2, 2)


def test_a_task_shows_whose_share_it_takes(api: Api) -> None:
    made = json.loads(api.post({"title": "x", "limit_key": "ada@example.com"}).body)
    assert made["limit_key"] == "ada@example.com"
    told = problem(api.post({"title": "x", "limit_key": "a b"}), 422)
    assert [one["pointer"] for one in told["errors"]] == ["#/limit_key"]
