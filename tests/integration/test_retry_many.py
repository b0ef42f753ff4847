"""Many finished tasks are tried again by one call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api import Api, problem


def retry(api: Api, body: Any) -> Any:
    response = api.call("POST", "/tasks/retry", body, Content_Type="application/json")
    return json.loads(response.body) if response.status_code == 200 else response


def test_those_that_fit_are_tried_again_oldest_first_in_chunks(api: Api) -> None:
    ids = [api.table.arrange("failed", kind="mail", tags="{n}") for _ in range(5)]
    others = [api.table.arrange("failed", kind="other"), api.table.arrange("cancelled")]
    fitting = {"kind": "mail", "tag": "n"}
    assert retry(api, fitting | {"limit": 3}) == {"ids": ids[:3], "more": True}
    assert retry(api, fitting | {"limit": 3}) == {"ids": ids[3:], "more": False}
    assert [letter.id for letter in api.queue.sent] == ids
    assert {api.table.status(one) for one in ids} == {"pending"}
    assert [api.table.status(one) for one in others] == ["failed", "cancelled"]
    row = api.table.row(ids[0])
    assert (row["attempt"], row["attempt_limit"]) == (3, 6)
    assert (row["error"], row["result"], row["finished_at"]) == (None, None, None)


def test_cancelled_tasks_are_tried_again_only_if_asked_for(api: Api) -> None:
    number = api.table.arrange("cancelled", title="Send the invoice")
    assert retry(api, {}) == {"ids": [], "more": False}
    asked = {"status": "cancelled", "text": "invoice", "created_after": "2020-01-01T00:00:00Z"}
    assert retry(api, asked) == {"ids": [number], "more": False}
    assert api.table.row(number)["cancel_requested_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "completed"}, "#/status"),
        ({"limit": 0}, "#/limit"),
        ({"limit": 1001}, "#/limit"),
        ({"limit": True}, "#/limit"),
        ({"ids": [1]}, "#/ids"),
        ({"created_before": "never"}, "#/created_before"),
    ],
)
def test_a_bad_filter_is_refused_and_nothing_happens(api: Api, body: Any, pointer: str) -> None:
    number = api.table.arrange("failed")
    assert problem(retry(api, body), 422)["errors"][0]["pointer"] == pointer
    assert api.table.status(number) == "failed"


def test_tasks_are_tried_again_while_sqs_is_down(api: Api) -> None:
    ids = {api.table.arrange("failed") for _ in range(12)}
    api.queue.away = True
    assert set(retry(api, {})["ids"]) == ids
    assert api.table.unsent() == ids
