"""Clients who change one task at the same time: the second sees what the first has made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api import Api, problem

MERGE_PATCH = {"Content_Type": "application/merge-patch+json"}
HOUR = 60 * 60


CANCELLED = (
    "update tasks set status = 'cancelled', cancel_requested_at = now(), finished_at = now(),"
    " updated_at = now() where id = %s"
)
TRIED_AGAIN = (
    "update tasks set status = 'pending', error = null, result = null, finished_at = null,"
    " attempt_limit = attempt + 3, updated_at = now() where id = %s"
)
MOVES = [
    ("cancel", "pending", CANCELLED, "cancelled"),
    ("retry", "failed", TRIED_AGAIN, "pending"),
    ("delete", "failed", TRIED_AGAIN, "pending"),
]


def ask(api: Api, move: str, number: int, **headers: str) -> Any:
    if move == "delete":
        return api.call("DELETE", f"/tasks/{number}", **headers)
    return api.call("POST", f"/tasks/{number}/{move}", **headers)


@pytest.mark.parametrize(("move", "status", "first", "now"), MOVES)
def test_a_move_that_comes_second_is_told_how_the_task_stands_now(
    api: Api, move: str, status: str, first: str, now: str
) -> None:
    number = api.table.arrange(status)
    answer = api.table.after(number, first, lambda: ask(api, move, number))
    content = problem(answer, 409)
    assert content["current"] == now
    assert f"is {now} and cannot be" in content["detail"]


@pytest.mark.parametrize(("move", "status"), [move[:2] for move in MOVES])
def test_a_move_of_a_task_that_was_just_deleted_is_not_found(
    api: Api, move: str, status: str
) -> None:
    number = api.table.arrange(status)
    gone = "delete from tasks where id = %s"
    problem(api.table.after(number, gone, lambda: ask(api, move, number)), 404)


@pytest.mark.parametrize("move", ["cancel", "retry", "delete"])
def test_a_move_is_made_of_the_version_that_was_read_and_of_no_other(api: Api, move: str) -> None:
    status = "pending" if move == "cancel" else "failed"
    number = api.table.arrange(status)
    before = api.table.row(number)
    tag = str(api.get(f"/tasks/{number}").headers["ETag"])
    for wrong in ('"1"', f"W/{tag}"):
        content = problem(ask(api, move, number, If_Match=wrong), 412)
        assert content["type"] == "urn:problem-type:tasks:task-changed"
        assert api.table.row(number) == before
    assert ask(api, move, number, If_Match=tag).status_code in (200, 204)


def test_a_change_of_something_else_leaves_the_time_that_was_set_meanwhile(api: Api) -> None:
    number = api.table.arrange("pending")
    later = "update tasks set run_at = run_at + interval '1 day', updated_at = now() where id = %s"
    path = f"/tasks/{number}"
    answer = api.table.after(
        number, later, lambda: api.call("PATCH", path, {"title": "t"}, **MERGE_PATCH)
    )
    assert answer.status_code == 200
    row = api.table.row(number)
    assert row["title"] == "t"
    assert (row["run_at"] - row["created_at"]).total_seconds() > 23 * HOUR
    assert json.loads(answer.body)["run_at"] == json.loads(api.get(path).body)["run_at"]


def test_a_change_that_waited_for_an_attempt_to_fail_leaves_its_backoff(api: Api) -> None:
    number = api.table.arrange("processing", attempt_limit=3)
    failed = (
        "update tasks set status = 'retrying', lease_until = null, updated_at = now(),"
        " run_at = now() + interval '2 hours', dispatch_after = now() + interval '2 hours'"
        " where id = %s"
    )
    path = f"/tasks/{number}"
    api.table.after(
        number,
        failed,
        lambda: api.call("PATCH", path, {"title": "t"}, **MERGE_PATCH),
    )
    row = api.table.row(number)
    assert (row["status"], row["title"]) == ("retrying", "t")
    assert (row["run_at"] - row["updated_at"]).total_seconds() > HOUR
    assert row["dispatch_after"] >= row["run_at"]


ENDED = {
    "cancel": """
        update tasks set status = 'retrying', lease_until = null, updated_at = now() where id = %s
    """,
    "retry": """
        update tasks set status = 'failed', error = '{"code": "exception"}', lease_until = null,
                         updated_at = now(), finished_at = now() where id = %s
    """,
    "delete": """
        update tasks set status = 'completed', lease_until = null, updated_at = now(),
                         finished_at = now() where id = %s
    """,
}


@pytest.mark.parametrize("move", ENDED)
def test_a_move_that_the_end_of_an_attempt_made_legal_is_made(api: Api, move: str) -> None:
    number = api.table.arrange("processing")
    answer = api.table.after(number, ENDED[move], lambda: ask(api, move, number))
    assert answer.status_code in (200, 204), answer.body
