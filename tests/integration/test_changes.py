"""What of a waiting task can be changed, and by whom it may have been changed meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib import runtime
from tests.fakes import FakeContext
from tests.integration.api import Api, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.test import HTTPResponse

HOUR = 60 * 60
MERGE_PATCH = "application/merge-patch+json"
FIELDS: dict[str, Any] = {
    "title": "another title",
    "description": "more",
    "payload": {"a": [1, None]},
    "tags": ["x", "y"],
}


def patch(api: Api, number: int, body: Any, **headers: str) -> HTTPResponse:
    return api.call("PATCH", f"/tasks/{number}", body, Content_Type=MERGE_PATCH, **headers)


def changed(response: HTTPResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.body
    return dict(json.loads(response.body))


def tag_of(api: Api, number: int) -> str:
    tag = api.get(f"/tasks/{number}").headers["ETag"]
    assert isinstance(tag, str)
    return tag


def stamp(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def grace(api: Api, number: int) -> float:
    """How long after its time (before, if negative) a task is looked at again, in seconds."""
    row = api.table.row(number)
    return float((row["dispatch_after"] - row["run_at"]).total_seconds())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_each_field_can_be_changed_and_the_others_stay(api: Api, field: str, status: str) -> None:
    number = api.table.arrange(status, description="d", payload={"p": 1}, tags="{t}")
    before = json.loads(api.get(f"/tasks/{number}").body)
    after = changed(patch(api, number, {field: FIELDS[field]}))
    assert after[field] == FIELDS[field]
    assert after["updated_at"] != before["updated_at"]
    same = set(after) - {field, "updated_at"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert json.loads(api.get(f"/tasks/{number}").body) == after
    assert api.queue.sent == []


@pytest.mark.parametrize(
    ("field", "empty"), [("description", None), ("payload", None), ("tags", [])]
)
def test_null_removes(api: Api, field: str, empty: Any) -> None:
    number = api.table.arrange("pending", description="d", payload={"p": 1}, tags="{t}")
    assert changed(patch(api, number, {field: None}))[field] == empty


def test_a_payload_is_replaced_and_not_merged(api: Api) -> None:
    number = api.table.arrange("pending", payload={"a": 1, "b": 2})
    assert changed(patch(api, number, {"payload": {"b": 3}}))["payload"] == {"b": 3}


def test_an_expiry_can_be_set_and_removed(api: Api) -> None:
    number = api.table.arrange("pending")
    changed(patch(api, number, {"expires_at": "2090-01-01T00:00:00Z"}))
    assert api.table.row(number)["expires_at"] == datetime(2090, 1, 1, tzinfo=UTC)
    changed(patch(api, number, {"expires_at": None}))
    assert api.table.row(number)["expires_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"title": None}, "#/title"),
        ({"title": " "}, "#/title"),
        ({"status": "completed"}, "#/status"),
        ({"kind": "default"}, "#/kind"),
        ({"unique_key": "u"}, "#/unique_key"),
        ({"payload": [1]}, "#/payload"),
        ({"tags": ["a", "a"]}, "#/tags"),
        ({"run_at": "2090-01-01T00:00:00"}, "#/run_at"),
        ({"delay_seconds": -1}, "#/delay_seconds"),
        ({"run_at": stamp(5), "delay_seconds": 5}, "#"),
        ({"run_at": stamp(5), "expires_at": stamp(4)}, "#/expires_at"),
        ({"delay_seconds": None}, "#"),
        ({}, "#"),
        ([], "#"),
    ],
)
def test_a_bad_change_is_refused_with_its_place_and_changes_nothing(
    api: Api, body: Any, pointer: str
) -> None:
    number = api.table.arrange("pending")
    before = api.table.row(number)
    errors = problem(patch(api, number, body), 422)["errors"]
    assert [error["pointer"] for error in errors] == [pointer]
    assert api.table.row(number) == before


@pytest.mark.parametrize(
    ("media_type", "status"),
    [(MERGE_PATCH, 200), ("application/json", 200), ("application/json-patch+json", 415)],
)
def test_a_change_is_a_merge_patch_or_plain_json(api: Api, media_type: str, status: int) -> None:
    number = api.table.arrange("pending")
    response = api.call("PATCH", f"/tasks/{number}", {"title": "t"}, Content_Type=media_type)
    assert response.status_code == status


def test_a_merge_patch_is_no_new_task(api: Api) -> None:
    problem(api.call("POST", "/tasks", {"title": "t"}, Content_Type=MERGE_PATCH), 415)


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "cancelled"])
def test_a_task_that_no_longer_waits_is_not_changed(api: Api, status: str) -> None:
    number = api.table.arrange(status)
    content = problem(patch(api, number, {"title": "t"}), 409)
    assert content["current"] == status
    assert api.table.row(number)["title"] == "a title"


def test_a_task_that_is_not_there_is_not_changed(api: Api) -> None:
    problem(patch(api, 4711, {"title": "t"}), 404)
    problem(patch(api, 4711, {"title": "t"}, If_Match='"1"'), 404)


def test_the_version_that_was_read_is_changed(api: Api) -> None:
    number = api.table.arrange("pending")
    old = tag_of(api, number)
    response = patch(api, number, {"title": "t"}, If_Match=old)
    new = response.headers["ETag"]
    assert changed(response)["title"] == "t"
    assert new == tag_of(api, number) != old
    assert patch(api, number, {"title": "u"}, If_Match=str(new)).status_code == 200


def test_a_version_that_is_gone_is_not_changed(api: Api) -> None:
    number = api.table.arrange("pending")
    old = tag_of(api, number)
    changed(patch(api, number, {"title": "first"}, If_Match=old))
    content = problem(patch(api, number, {"title": "second"}, If_Match=old), 412)
    assert content["type"] == "urn:problem-type:tasks:task-changed"
    assert api.table.row(number)["title"] == "first"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 200),
        (" * ", 200),
        ("{}", 200),
        ('"1", {}', 200),
        ('"abc",{},"xyz"', 200),
        ("W/{}", 412),  # RFC 9110, 13.1.1: a weak tag is never the same
        ('"1"', 412),
        ('"1", "2"', 412),
        ('"not ours"', 412),
        ("garbage", 412),
        ("", 412),
        ('"', 412),
        (f'"{"f" * 14}"', 412),
        (f'"{"f" * 40}"', 412),
    ],
)
def test_if_match_takes_one_of_several_or_any(api: Api, header: str, status: int) -> None:
    number = api.table.arrange("pending")
    tag = tag_of(api, number)
    response = patch(api, number, {"title": "t"}, If_Match=header.replace("{}", tag))
    assert response.status_code == status
    assert (api.table.row(number)["title"] == "t") == (status == 200)


def test_a_stale_version_is_told_before_the_status(api: Api) -> None:
    number = api.table.arrange("completed")
    problem(patch(api, number, {"title": "t"}, If_Match='"1"'), 412)
    problem(patch(api, number, {"title": "t"}, If_Match=tag_of(api, number)), 409)


def far_task(api: Api) -> int:
    number: int = json.loads(api.post({"title": "x", "delay_seconds": 2 * HOUR}).body)["id"]
    assert api.queue.sent == []
    return number


def work(api: Api) -> None:
    front_door.work({"Records": api.queue.receive()}, FakeContext())


@pytest.mark.parametrize(
    "body", [{"run_at": "2020-01-01T00:00:00Z"}, {"delay_seconds": 0}, {"run_at": None}]
)
def test_a_far_task_that_is_to_begin_now_is_sent_and_worked(api: Api, body: Any) -> None:
    number = far_task(api)
    after = changed(patch(api, number, body))
    assert after["run_at"] == after["updated_at"]
    [letter] = api.queue.sent
    assert (letter.id, letter.delay) == (number, 0)
    assert grace(api, number) == 120
    work(api)
    assert api.table.status(number) == "completed"


@pytest.mark.parametrize("field", ["run_at", "delay_seconds"])
def test_a_far_task_that_is_brought_near_is_sent_with_its_delay(api: Api, field: str) -> None:
    number = far_task(api)
    changed(patch(api, number, {field: stamp(200) if field == "run_at" else 200}))
    [letter] = api.queue.sent
    assert 60 < letter.delay <= 200
    assert grace(api, number) == 120
    work(api)
    assert api.table.status(number) == "pending"
    api.table.update(number, run_at=api.table.at(-1))  # its time has come
    api.queue.now += 200
    work(api)
    assert api.table.status(number) == "completed"


def test_a_task_that_is_put_off_is_not_begun_by_its_old_message(api: Api) -> None:
    number = json.loads(api.post({"title": "x"}).body)["id"]
    assert changed(patch(api, number, {"delay_seconds": 2 * HOUR}))["status"] == "pending"
    assert len(api.queue.sent) == 1
    assert grace(api, number) == -15 * 60
    work(api)
    assert api.table.status(number) == "pending"
    [hidden] = api.queue.hidden_for()
    assert hidden == pytest.approx(2 * HOUR, abs=60)
    api.table.update(number, run_at=api.table.at(-1))
    api.queue.now += 2 * HOUR
    work(api)
    assert api.table.status(number) == "completed"


def test_a_far_task_that_is_put_off_farther_is_sent_when_its_time_is_near(api: Api) -> None:
    number = far_task(api)
    changed(patch(api, number, {"delay_seconds": 5 * HOUR}))
    assert api.queue.sent == []
    assert grace(api, number) == -15 * 60
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent_again"] == 0
    api.table.update(number, run_at=api.table.at(10), dispatch_after=api.table.at(-1))
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent_again"] == 1


@pytest.mark.parametrize("body", [{"title": "t"}, {"delay_seconds": None, "title": "t"}])
def test_a_change_without_a_time_leaves_the_time_alone(api: Api, body: Any) -> None:
    number = far_task(api)
    before = api.table.row(number)
    changed(patch(api, number, body))
    after = api.table.row(number)
    assert [after[name] for name in ("run_at", "dispatch_after")] == [
        before[name] for name in ("run_at", "dispatch_after")
    ]
    assert api.queue.sent == []


def test_the_same_time_again_sends_nothing_more(api: Api) -> None:
    number, moment = far_task(api), stamp(100)
    for _ in range(2):
        changed(patch(api, number, {"run_at": moment}))
    assert len(api.queue.sent) == 1


@pytest.mark.parametrize("failure", ["deliver", "fail"])
def test_a_queue_that_is_down_does_not_harm_a_task_that_is_moved(
    api_of: Callable[..., Api], failure: str
) -> None:
    """It was stored long ago: there is no creation that could fail."""
    api = api_of(enqueue_failure=failure)
    number = far_task(api)
    api.queue.away = True
    changed(patch(api, number, {"delay_seconds": 0}))
    assert api.table.status(number) == "pending"
    assert api.table.unsent() == {number}
    api.queue.away = False
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent"] == 1


def test_the_worker_sees_what_was_changed_after_the_message_was_sent(api: Api) -> None:
    number = json.loads(api.post({"title": "old"}).body)["id"]
    changed(patch(api, number, {"title": "new"}))
    work(api)
    assert "'new'" in json.loads(api.get(f"/tasks/{number}").body)["result"]


def test_of_two_who_change_a_version_at_once_one_is_told(api_of: Callable[..., Api]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from chalicelib.errors import TaskChanged
    from chalicelib.schemas import TaskChanges

    api = api_of(database_connections=8, database_patience=30)
    desk = api.runtime.serve(None)
    for _ in range(10):
        number = api.table.arrange("pending")
        version = api.table.row(number)["created_at"]

        def change(title: str, number: int = number, version: datetime = version) -> bool:
            try:
                desk.update(number, TaskChanges(title=title), versions=[version])
            except TaskChanged:
                return False
            return True

        with ThreadPoolExecutor(8) as clients:
            assert sum(clients.map(change, "abcdefgh")) == 1
