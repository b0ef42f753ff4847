"""A waiting task can be changed, by a client that knows what it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

import app as front_door
from tests.fakes import FakeContext
from tests.integration.api import Api, problem


def patch(api: Api, number: int, body: Any, **headers: str) -> Any:
    return api.call(
        "PATCH", f"/tasks/{number}", body, **{"Content_Type": "application/json"} | headers
    )


def posted(api: Api, **body: Any) -> int:
    made = api.post({"title": "x"} | body)
    return int(json.loads(made.body)["id"])


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "new"},
        {"description": "new"},
        {"description": None},
        {"payload": {"n": [1]}},
        {"payload": None},
        {"tags": ["b", "a"]},
        {"tags": []},
    ],
)
def test_what_is_given_is_changed_and_the_rest_stays(api: Api, changes: dict[str, Any]) -> None:
    number = posted(api, description="d", payload={"k": 1}, tags=["t"])
    before = json.loads(api.get(f"/tasks/{number}").body)
    response = patch(api, number, changes)
    assert response.status_code == 200
    after = json.loads(response.body)
    assert after.pop("updated_at") is not None
    before.pop("updated_at")
    assert after == before | changes
    assert len(api.queue.sent) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ({"title": None}, "#/title"),
        ({"title": ""}, "#/title"),
        ({"status": "completed"}, "#/status"),
        ({"kind": "default"}, "#/kind"),
        ({"delay_seconds": 1, "run_at": "2030-01-01T00:00:00Z"}, "#"),
        ({"tags": ["a", "a"]}, "#/tags"),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused(api: Api, body: Any, pointer: str) -> None:
    number = posted(api)
    assert problem(patch(api, number, body), 422)["errors"][0]["pointer"] == pointer


def test_a_merge_patch_is_taken_by_its_own_name(api: Api) -> None:
    number = posted(api)
    kind = "application/merge-patch+json"
    assert patch(api, number, {"title": "y"}, Content_Type=kind).status_code == 200
    assert problem(patch(api, number, {"title": "y"}, Content_Type="text/plain"), 415)


def test_a_task_that_was_changed_since_is_not_changed_over(api: Api) -> None:
    number = posted(api)
    seen = api.get(f"/tasks/{number}").headers["ETag"]
    first = patch(api, number, {"title": "mine"}, If_Match=seen)
    assert first.status_code == 200
    problem(patch(api, number, {"title": "late"}, If_Match=seen), 412)
    newest = first.headers["ETag"]
    assert patch(api, number, {"title": "a"}, If_Match=f'"ff", {newest}').status_code == 200
    assert patch(api, number, {"title": "b"}, If_Match="*").status_code == 200
    problem(patch(api, number, {"title": "c"}, If_Match='"no tag of ours"'), 412)
    assert json.loads(api.get(f"/tasks/{number}").body)["title"] == "b"


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "cancelled"])
def test_only_a_task_that_waits_can_be_changed(api: Api, status: str) -> None:
    number = api.table.arrange(status)
    assert problem(patch(api, number, {"title": "y"}), 409)["current"] == status
    problem(patch(api, number + 1, {"title": "y"}), 404)


def test_a_task_that_is_moved_nearer_is_sent_and_runs(api: Api) -> None:
    number = posted(api, delay_seconds=3600)
    assert api.queue.sent == []
    assert patch(api, number, {"delay_seconds": 0}).status_code == 200
    assert [letter.id for letter in api.queue.sent] == [number]
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert api.table.status(number) == "completed"


def test_a_task_that_is_moved_farther_does_not_run_at_its_old_time(api: Api) -> None:
    number = posted(api)
    assert patch(api, number, {"delay_seconds": 3600}).status_code == 200
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    row = api.table.row(number)
    assert row["status"] == "pending"
    # It is looked at again a quarter of an hour before its time.
    assert 3600 - 900 - 5 < (row["dispatch_after"] - api.table.at(0)).total_seconds() < 3600 - 895


def test_a_change_of_words_does_not_send_the_task_again(api: Api) -> None:
    number = posted(api, delay_seconds=60)
    before = api.table.row(number)["dispatch_after"]
    patch(api, number, {"title": "y"})
    assert api.table.row(number)["dispatch_after"] == before
    assert len(api.queue.sent) == 1
