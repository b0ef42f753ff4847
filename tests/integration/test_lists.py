"""Lists are filtered, walked page by page, and right while tasks are added."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.integration.api import Api, problem


def ids(api: Api, **query: Any) -> list[int]:
    response = api.get(f"/tasks?{urlencode(query)}")
    assert response.status_code == 200, response.body
    return [one["id"] for one in json.loads(response.body)["items"]]


def iso(moment: Any) -> str:
    return str(moment.isoformat())


def test_each_filter_takes_what_fits_and_nothing_else(api: Api) -> None:
    plain = api.table.arrange("pending")
    failed = api.table.arrange("failed", kind="mail", title="Send the invoice")
    done = api.table.arrange("completed", kind="mail", title="Send the report", tags="{a,b}")
    assert ids(api) == [done, failed, plain]
    assert ids(api, status="failed") == [failed]
    assert ids(api, kind="mail") == [done, failed]
    assert ids(api, tag="b") == [done]
    assert ids(api, tag="B") == []
    assert ids(api, kind="mail", status="completed", tag="a", text="report") == [done]
    assert ids(api, kind="mail", status="failed", tag="a") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("invoice", True),
        ("INVOICE send", True),
        ("inv", True),
        ("send inv", True),
        ("inv send", False),  # only the last word may be the beginning of one
        ("voice", False),
        ("...", False),
        ("' & | ! :* (", False),
    ],
)
def test_text_is_words_of_the_title(api: Api, text: str, *, found: bool) -> None:
    made = api.table.arrange("pending", title="Send the invoice")
    assert ids(api, text=text) == ([made] if found else [])


def test_a_range_of_time_has_its_beginning_and_not_its_end(api: Api) -> None:
    moments = [api.table.at(-3600 + 60 * n) for n in range(3)]
    made = [api.table.arrange("pending", created_at=moment) for moment in moments]
    assert ids(api, created_after=iso(moments[1])) == [made[2], made[1]]
    assert ids(api, created_before=iso(moments[1])) == [made[0]]
    later = moments[1] + timedelta(microseconds=1)
    assert ids(api, created_after=iso(moments[1]), created_before=iso(later)) == [made[1]]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"),
        ("status=", "status"),
        ("kind=", "kind"),
        ("tag=a%20b", "tag"),
        ("tag=a&tag=b", "tag"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_before=1700000000", "created_before"),
        ("text=", "text"),
        ("text=%00", "text"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1e1", "limit"),
        ("cursor=before-1", "cursor"),
        ("cursor=%27", "cursor"),
        ("offset=10", "offset"),
    ],
)
def test_a_bad_filter_is_named(api: Api, query: str, parameter: str) -> None:
    assert problem(api.get(f"/tasks?{query}"), 422)["errors"][0]["parameter"] == parameter


def test_the_next_page_keeps_the_filters_and_misses_nothing(api: Api) -> None:
    wanted = [api.table.arrange("failed", tags="{t}", kind="mail") for _ in range(7)]
    seen: list[int] = []
    path = f"/tasks?tag=t&kind=mail&limit=3&created_after={quote('2020-01-01T00:00:00+00:00')}"
    while path:
        response = api.get(path)
        seen += [one["id"] for one in json.loads(response.body)["items"]]
        assert len(seen) <= len(wanted)
        api.table.arrange("failed", tags="{t}", kind="mail")  # meanwhile, ahead of the cursor
        api.table.arrange("failed", tags="{other}")
        match = re.fullmatch(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))
        path = match[1] if match else ""
    assert seen == wanted[::-1]


def test_tasks_of_one_moment_are_neither_missed_nor_shown_twice(api: Api) -> None:
    api.table.run("insert into tasks (title) select 'x' from generate_series(1, 25)")
    seen: list[int] = []
    cursor = None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = json.loads(api.get(f"/tasks?{urlencode(query)}").body)
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 25
