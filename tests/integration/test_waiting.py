"""Reading a task again is cheap, and waiting for it ends as soon as it does."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.service import waiting

if TYPE_CHECKING:
    from tests.integration.api import Api


def get(api: Api, number: int, **headers: str) -> Any:
    return api.call("GET", f"/tasks/{number}", **headers)


def complete(api: Api, number: int, *, after: float) -> threading.Thread:
    def run() -> None:
        time.sleep(after)
        api.table.run(
            "update tasks set status = 'completed', attempt = 1, started_at = now(),"
            " finished_at = now(), updated_at = now() where id = %s",
            [number],
        )

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_task_that_the_client_knows_is_not_shown_again(api: Api) -> None:
    number = api.table.arrange("pending")
    tag = get(api, number).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"ff", {tag}'):
        response = get(api, number, If_None_Match=known)
        assert (response.status_code, response.body) == (304, b"")
        assert response.headers["ETag"] == tag
    assert get(api, number, If_None_Match='"ff"').status_code == 200
    api.call("POST", f"/tasks/{number}/cancel")
    assert get(api, number, If_None_Match=tag).status_code == 200


@pytest.mark.parametrize(
    ("status", "seconds", "after"),
    [
        ("pending", 0, "1"),
        ("retrying", 30, "30"),
        ("pending", 86400, "3600"),
        ("processing", -5, "1"),
        ("completed", 0, None),
        ("failed", 0, None),
        ("cancelled", 0, None),
    ],
)
def test_an_unfinished_task_says_when_to_ask_again(
    api: Api, status: str, seconds: float, after: str | None
) -> None:
    number = api.table.arrange(status, run_at=api.table.at(seconds))
    assert get(api, number).headers.get("Retry-After") == after


def test_waiting_ends_as_soon_as_the_task_does(api: Api) -> None:
    number = api.table.arrange("pending")
    begun = time.monotonic()
    thread = complete(api, number, after=0.3)
    response = get(api, number, Prefer="wait=10")
    took = time.monotonic() - begun
    thread.join()
    assert json.loads(response.body)["status"] == "completed"
    assert response.headers["Preference-Applied"] == "wait=10"
    assert took < 5  # far from the ten seconds; how soon is bounded by the pause below
    assert waiting.LONGEST_PAUSE <= 0.1


def test_waiting_ends_with_the_time_that_was_asked_for(api: Api) -> None:
    number = api.table.arrange("pending")
    begun = time.monotonic()
    response = get(api, number, Prefer="wait=1")
    assert 1 <= time.monotonic() - begun < 4
    assert (response.status_code, json.loads(response.body)["status"]) == (200, "pending")


def test_waiting_for_a_change_ends_with_any(api: Api) -> None:
    number = api.table.arrange("pending")
    tag = get(api, number).headers["ETag"]
    begun = time.monotonic()
    later = "update tasks set title = 'y', updated_at = now() where id = %s"
    timer = threading.Timer(0.2, lambda: api.table.run(later, [number]))
    timer.start()
    response = get(api, number, Prefer="wait=10", If_None_Match=tag)
    assert response.status_code == 200
    assert json.loads(response.body)["title"] == "y"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=20", "wait=20"),
        ("wait=3600", "wait=20"),
        ("respond-async, wait=5", "wait=5"),
        ("WAIT = 5; x=y", "wait=5"),
        ('wait="5"', "wait=5"),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=soon", None),
        ("await=5", None),
        ("return=minimal", None),
    ],
)
def test_a_preference_is_bounded_and_what_is_none_is_ignored(
    api: Api, prefer: str, applied: str | None
) -> None:
    number = api.table.arrange("completed")
    response = get(api, number, Prefer=prefer)
    assert response.status_code == 200
    assert response.headers.get("Preference-Applied") == applied


def test_a_create_can_wait_for_the_end(api: Api) -> None:
    def work() -> None:
        while not api.queue.stored:
            time.sleep(0.01)
        complete(api, 1, after=0).join()

    thread = threading.Thread(target=work)
    thread.start()
    response = api.call(
        "POST", "/tasks", {"title": "x"}, Content_Type="application/json", Prefer="wait=10"
    )
    thread.join()
    assert response.status_code == 201
    assert json.loads(response.body)["status"] == "completed"
    assert response.headers["Preference-Applied"] == "wait=10"


@pytest.mark.parametrize(
    ("status", "moves"),
    [
        ("pending", {"cancel"}),
        ("processing", {"cancel"}),
        ("retrying", {"cancel"}),
        ("completed", set()),
        ("failed", {"retry"}),
        ("cancelled", {"retry"}),
    ],
)
def test_links_are_what_can_be_done_now(api: Api, status: str, moves: set[str]) -> None:
    number = api.table.arrange(status)
    links = json.loads(get(api, number).body)["links"]
    assert links.keys() == {"self", "attempts"} | moves
    assert api.call("GET", links["self"]).status_code == 200
    assert api.call("GET", links["attempts"]).status_code == 200
    for move in moves:
        assert api.call("POST", links[move]).status_code == 200


def test_every_attempt_is_told_with_its_duration(api: Api) -> None:
    record = {
        "attempt": 1,
        "started_at": "2026-01-01T00:00:00+00:00",
        "ended_at": "2026-01-01T00:00:02.5+00:00",
        "outcome": "retrying",
        "error": {"code": "exception", "message": "no"},
        "request_id": "r",
        "message_id": "m",
        "receive_count": 1,
        "trace_id": None,
    }
    number = api.table.arrange(
        "completed",
        attempt=4,
        attempt_limit=5,
        release_count=2,
        attempts=[record],
        started_at="2026-01-01T00:01:00Z",
        finished_at="2026-01-01T00:01:01Z",
        request_id="r4",
    )
    items = json.loads(api.get(f"/tasks/{number}/attempts").body)["items"]
    assert [(one["attempt"], one["outcome"], one["duration"]) for one in items] == [
        (1, "retrying", 2.5),
        (2, "completed", 1.0),
    ]
    assert items[0]["error"] == record["error"]
    assert items[1]["request_id"] == "r4"
    assert list(items[0]) == [*[*record][:3], "duration", *[*record][3:]]


def test_an_attempt_under_way_has_no_end(api: Api) -> None:
    number = api.table.arrange("processing")
    [one] = json.loads(api.get(f"/tasks/{number}/attempts").body)["items"]
    assert (one["ended_at"], one["duration"], one["outcome"]) == (None, None, "processing")
    waiting_task = api.table.arrange("pending")
    assert json.loads(api.get(f"/tasks/{waiting_task}/attempts").body)["items"] == []
    assert api.get("/tasks/999999/attempts").status_code == 404
