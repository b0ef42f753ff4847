"""New attempts for many finished tasks at once, by filter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import runtime
from chalicelib.store import clients
from tests.integration.api import problem
from tests.world import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.api import Api


def retry(api: Api, **query: Any) -> dict[str, Any]:
    response = api.call("POST", "/tasks/retry", query, Content_Type="application/json")
    assert response.status_code == 200, response.body
    return dict(json.loads(response.body))


def test_every_failed_task_is_given_new_attempts_and_a_message(api: Api) -> None:
    failed = [api.table.arrange("failed", description=f"d{number}") for number in range(25)]
    others = ("pending", "processing", "retrying", "completed", "cancelled")
    untouched = {api.table.arrange(status): status for status in others}
    assert retry(api) == {"ids": failed, "more": False, "next_cursor": None}
    for number in failed:
        row = api.table.row(number)
        assert (row["status"], row["attempt"], row["attempt_limit"]) == ("pending", 3, 6)
        assert row["error"] is None
        assert row["finished_at"] is None
    assert {number: api.table.status(number) for number in untouched} == untouched
    assert [(one.id, one.description) for one in api.queue.sent] == [
        (number, f"d{place}") for place, number in enumerate(failed)
    ]


def test_it_does_what_a_retry_of_each_would_do(api: Api) -> None:
    one, other = (api.table.arrange("failed", attempt=5, attempt_limit=9) for _ in range(2))
    api.runtime.serve(None).retry(one)
    retry(api)
    rows = [api.table.row(number) for number in (one, other)]
    times = ("id", "run_at", "dispatch_after", "updated_at", "created_at")
    left = [{k: v for k, v in row.items() if k not in times} for row in rows]
    assert left[0] == left[1]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, [1, 2, 3, 4]),
        ({"status": "cancelled"}, [5]),
        ({"kind": "other"}, [2]),
        ({"tag": "red"}, [3]),
        ({"text": "invoi"}, [4]),
        ({"created_before": "2020-01-01T00:00:00Z"}, [1]),
        ({"created_after": "2020-01-01T00:00:00Z"}, [2, 3, 4]),
        ({"tag": "red", "text": "invoice"}, []),
        ({"tag": "red", "kind": "default", "created_after": "2020-01-01T00:00:00Z"}, [3]),
    ],
)
def test_a_filter_chooses_which(api: Api, query: dict[str, Any], wanted: list[int]) -> None:
    api.table.arrange("failed", created_at="2019-12-31T23:59:59Z")
    api.table.arrange("failed", kind="other")
    api.table.arrange("failed", tags="{red}")
    api.table.arrange("failed", title="Send an invoice")
    api.table.arrange("cancelled")
    assert retry(api, **query)["ids"] == wanted


def test_the_oldest_come_first_up_to_the_limit_until_none_are_left(api: Api) -> None:
    made = [
        api.table.arrange("failed", created_at=api.table.at(-DAY + place)) for place in range(5)
    ]
    newer = api.table.arrange("failed", created_at=api.table.at(-2 * DAY))
    told = [retry(api, limit=2) for _ in range(4)]
    assert [one["ids"] for one in told] == [sorted([newer, made[0]]), made[1:3], made[3:], []]
    assert [one["more"] for one in told] == [True, True, True, False]


def test_a_thousand_are_the_most_of_one_call(api: Api) -> None:
    api.table.run(
        "insert into tasks (title, status, attempt, error, updated_at, finished_at)"
        " select 'x', 'failed', 3, '{\"code\": \"exception\"}', now(), now()"
        "   from generate_series(1, 1001)"
    )
    first, second = retry(api), retry(api)
    assert (len(first["ids"]), first["more"]) == (1000, True)
    assert (len(second["ids"]), second["more"]) == (1, False)
    assert len(api.queue.sent) == 1001


@pytest.mark.parametrize("failure", ["deliver", "fail"])
def test_a_queue_that_is_down_leaves_the_messages_to_the_sweeper(
    api_of: Callable[..., Api], failure: str
) -> None:
    api = api_of(enqueue_failure=failure)
    failed = {api.table.arrange("failed") for _ in range(12)}
    api.queue.away = True
    assert set(retry(api)["ids"]) == failed
    assert api.table.unsent() == failed
    api.queue.away = False
    assert runtime.current().sweeper.sweep(lambda: 50.0)["sent"] == 12


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "completed"}, "#/status"),
        ({"status": None}, "#/status"),
        ({"limit": 0}, "#/limit"),
        ({"limit": 1001}, "#/limit"),
        ({"limit": "5"}, "#/limit"),
        ({"limit": 2.5}, "#/limit"),
        ({"colour": "red"}, "#/colour"),
        ({"created_after": 1893456000}, "#/created_after"),
        ({"tag": ["a"]}, "#/tag"),
    ],
)
def test_a_bad_filter_is_refused_with_its_place(
    api: Api, query: dict[str, Any], pointer: str
) -> None:
    number = api.table.arrange("failed")
    response = api.call("POST", "/tasks/retry", query, Content_Type="application/json")
    assert [error["pointer"] for error in problem(response, 422)["errors"]] == [pointer]
    assert api.table.status(number) == "failed"


def test_a_filter_has_to_be_given_even_if_it_is_empty(api: Api) -> None:
    problem(api.call("POST", "/tasks/retry", b"", Content_Type="application/json"), 400)


def test_it_looks_at_so_many_and_tells_where_to_go_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MOST_LOOKED_AT", 4)
    for place in range(10):
        created = api.table.at(-DAY + place)
        kind = "rare" if place in (5, 9) else "default"
        api.table.arrange("failed", kind=kind, created_at=created)
    wanted = [row["id"] for row in api.table.run("select id from tasks where kind = 'rare'")]
    told = [retry(api, kind="rare")]
    while cursor := told[-1]["next_cursor"]:
        told.append(retry(api, kind="rare", cursor=cursor))
    assert [one["ids"] for one in told] == [[], [wanted[0]], [wanted[1]]]
    assert [one["more"] for one in told] == [True, True, False]


def test_whoever_goes_on_does_not_meet_again_what_failed_again(api: Api) -> None:
    for _ in range(3):
        api.table.arrange("failed")
    first = retry(api, limit=2)
    api.table.run(
        "update tasks set status = 'failed', error = '{\"code\": \"exception\"}',"
        " finished_at = now() where id = any(%s)",
        [first["ids"]],
    )
    assert not set(retry(api, cursor=first["next_cursor"])["ids"]) & set(first["ids"])


@pytest.mark.parametrize("cursor", ["x", "before-1-1", "after-1-x"])
def test_a_cursor_of_another_call_is_refused(api: Api, cursor: str) -> None:
    response = api.call("POST", "/tasks/retry", {"cursor": cursor}, Content_Type="application/json")
    content = problem(response, 422)
    assert content["errors"] == [
        {"pointer": "#/cursor", "detail": "is not a next_cursor of this call"}
    ]
