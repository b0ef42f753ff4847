"""Lists: every filter alone and together, from page to page."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.db import SQL
from chalicelib.store import clients
from chalicelib.task import Status
from tests.integration.api import problem

if TYPE_CHECKING:
    from tests.integration.api import Api
    from tests.world import World

START = datetime(2010, 1, 1, tzinfo=UTC)

#: Two values of each; a task of each combination.
STATUSES = ["completed", "pending"]
KINDS = ["default", "other"]
TAGS = ["red", "blue"]
TITLES = ["Send an invoice", "Resize a photo"]
FILTERS = {
    "status": "completed",
    "kind": "other",
    "tag": "blue",
    "created_after": (START + timedelta(minutes=8)).isoformat().replace("+00:00", "Z"),
    "created_before": (START + timedelta(minutes=14)).isoformat().replace("+00:00", "Z"),
    "text": "invoice",
}


def find(api: Api, **query: Any) -> dict[str, Any]:
    response = api.get(f"/tasks?{urlencode(query)}")
    assert response.status_code == 200, response.body
    return dict(json.loads(response.body))


def ids(api: Api, **query: Any) -> list[int]:
    return [item["id"] for item in find(api, **query)["items"]]


def walk(api: Api, **query: Any) -> list[int]:
    """Follow the links from page to page; a task is added after each."""
    path: str | None = f"/tasks?{urlencode(query)}"
    seen: list[int] = []
    while path:
        response = api.get(path)
        seen += [item["id"] for item in json.loads(response.body)["items"]]
        api.table.arrange("completed", kind="other", tags="{blue}", title=TITLES[0])
        link = response.headers.get("Link")
        path = link[1 : link.index(">")] if link else None
    return seen


@pytest.fixture
def tasks(api: Api) -> list[dict[str, Any]]:
    """Sixteen rows, a minute apart, the newest first."""
    for number in range(16):
        bits = [number >> place & 1 for place in range(4)]
        api.table.arrange(
            STATUSES[bits[0]],
            kind=KINDS[bits[1]],
            tags=f"{{{TAGS[bits[2]]},n{number}}}",
            title=TITLES[bits[3]],
            created_at=START + timedelta(minutes=number),
        )
    return api.table.run("select * from tasks order by created_at desc, id desc")


def fits(task: dict[str, Any], name: str) -> bool:
    """What a filter means, said once more."""
    wanted = FILTERS[name]
    match name:
        case "tag":
            return wanted in task["tags"]
        case "created_after":
            return bool(task["created_at"] >= datetime.fromisoformat(wanted))
        case "created_before":
            return bool(task["created_at"] < datetime.fromisoformat(wanted))
        case "text":
            return wanted in task["title"]
        case _:
            return bool(task[name] == wanted)


@pytest.mark.parametrize(
    "names",
    [chosen for many in range(7) for chosen in combinations(FILTERS, many)],
    ids=lambda chosen: "+".join(chosen) or "none",
)
def test_filters_alone_and_together_find_what_fits_all_of_them(
    api: Api, tasks: list[dict[str, Any]], names: tuple[str, ...]
) -> None:
    wanted = [task["id"] for task in tasks if all(fits(task, name) for name in names)]
    assert ids(api, **{name: FILTERS[name] for name in names}) == wanted


@pytest.mark.parametrize("status", list(Status))
def test_every_status_can_be_asked_for(api: Api, status: Status) -> None:
    made = {one: api.table.arrange(one) for one in Status}
    assert ids(api, status=status) == [made[status]]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("filters", [{}, {"status": "completed", "tag": "blue", "text": "an inv"}])
def test_the_links_keep_the_filters_and_skip_nothing_while_tasks_are_added(
    api: Api, filters: dict[str, str]
) -> None:
    wanted = ids(api, **filters)
    assert len(wanted) in (2, 16)
    seen = walk(api, limit=1, **filters)
    assert seen == wanted


@pytest.mark.parametrize("most", [1, 3, 7])
@pytest.mark.parametrize("query", [{"kind": "rare", "status": "completed"}, {"text": "rare"}])
def test_a_page_looks_at_so_many_tasks_and_the_next_goes_on_there(
    api: Api, monkeypatch: pytest.MonkeyPatch, query: dict[str, str], most: int
) -> None:
    monkeypatch.setattr(clients, "MOST_LOOKED_AT", most)
    for place in range(20):
        kind, title = ("rare", "a rare one") if place in (2, 3, 11) else ("default", "another")
        api.table.arrange("completed", kind=kind, title=title, created_at=api.table.at(-place))
    rare = api.table.run("select id from tasks where kind = 'rare' order by created_at desc")
    path: str | None = f"/tasks?{urlencode(query)}"
    pages: list[list[int]] = []
    while path:
        response = api.get(path)
        pages.append([item["id"] for item in json.loads(response.body)["items"]])
        link = response.headers.get("Link")
        path = link.split(">")[0][1:] if isinstance(link, str) else None
    assert [number for page in pages for number in page] == [row["id"] for row in rare]
    assert len(pages) == 1 + 20 // most


def test_tasks_of_one_moment_are_walked_by_id(api: Api) -> None:
    api.table.run(
        "insert into tasks (title) select 'x' from generate_series(1, 25)"
    )  # one statement, one now()
    assert len(api.table.run("select distinct created_at from tasks")) == 1
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = find(api, limit=10, **cursor)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == list(range(25, 0, -1))


def test_a_page_is_not_disturbed_when_the_task_it_ended_with_is_deleted(api: Api) -> None:
    made = [api.table.arrange("completed") for _ in range(4)]
    page = find(api, limit=2)
    api.runtime.serve(None).delete(made[2])
    assert ids(api, cursor=page["next_cursor"]) == [made[1], made[0]]


def test_a_full_last_page_has_no_next(api: Api) -> None:
    for _ in range(4):
        api.table.arrange("pending")
    page = find(api, limit=2)
    response = api.get(f"/tasks?limit=2&cursor={page['next_cursor']}")
    assert json.loads(response.body)["next_cursor"] is None
    assert "Link" not in response.headers


def test_a_range_holds_its_beginning_and_not_its_end(api: Api) -> None:
    moments = [START + timedelta(microseconds=number) for number in range(4)]
    made = [api.table.arrange("pending", created_at=moment) for moment in moments]
    assert ids(
        api, created_after=moments[1].isoformat(), created_before=moments[3].isoformat()
    ) == [made[2], made[1]]
    assert (
        ids(api, created_after=moments[1].isoformat(), created_before=moments[1].isoformat()) == []
    )


def test_a_time_may_have_any_offset(api: Api) -> None:
    number = api.table.arrange("pending", created_at=START)
    assert ids(api, created_after="2010-01-01T02:00:00+02:00") == [number]
    assert ids(api, created_after="2010-01-01T02:00:01+02:00") == []
    assert ids(api, created_before="2009-12-31T19:00:01-05:00") == [number]


@pytest.mark.parametrize(
    ("text", "title", "found"),
    [
        ("invoice", "Send an invoice", True),
        ("INVOICE", "Send an invoice", True),
        ("invoice send", "Send an invoice", True),  # in any order
        ("send inv", "Send an invoice", True),  # the last may be begun only
        ("inv send", "Send an invoice", False),  # the others not
        ("voice", "Send an invoice", False),
        ("invoices", "Send an invoice", False),  # no language is known
        ("send photo", "Send an invoice", False),  # all of them
        ("stra\u00df", "Stra\u00dfe", True),
        ("42", "Order 4211", True),
        ("foo-b", "Mend foo-bar", True),
        ("bar", "Mend foo-bar", True),
        ("12", "order-1234", True),
        ("1234", "order-1234/b", True),
        ("order 12", "order-1234", True),
        ("example", "Crawl https://www.example.org/a?b=c", True),
        ("o'neil", "Call O'Neill", True),
        ("!!!", "Send an invoice", False),
        ("a & !b | (c:*)", "A b c", True),  # no language of its own
        ("'); drop table tasks; --", "Send an invoice", False),
        ("\\", "Send an invoice", False),
        ("%", "Send an invoice", False),
    ],
)
def test_text_finds_titles_by_their_words(api: Api, text: str, title: str, found: bool) -> None:  # noqa: FBT001
    number = api.table.arrange("pending", title=title, description="Nothing is found in here.")
    assert ids(api, text=text) == ([number] if found else [])
    assert ids(api, text="nothing") == []


def test_rare_tags_and_words_are_found_among_many_as_common_ones_are(api: Api) -> None:
    """Beyond five hundred tasks the two are looked up in different ways."""
    api.table.run(
        "insert into tasks (title, tags, created_at)"
        " select 'common ' || n || case when n % 1000 = 7 then ' rare' else '' end,"
        "        array['all'] || case when n % 1000 = 8 then array['few'] else '{}' end,"
        "        now() - n * interval '1 second'"
        "   from generate_series(1, 3500) as n"
    )
    assert len(ids(api, limit=100)) == 100
    every = ids(api, limit=100)
    assert ids(api, limit=100, tag="all") == ids(api, limit=100, text="common") == every
    assert ids(api, text="rar") == ids(api, text="rare") == [7, 1007, 2007, 3007]
    assert ids(api, tag="few") == [8, 1008, 2008, 3008]
    assert walk(api, tag="few", limit=1) == [8, 1008, 2008, 3008]
    assert ids(api, tag="few", text="common 1") == [1008]
    assert ids(api, tag="none") == ids(api, text="none") == ids(api, tag="few", text="rare") == []


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("status=done", "should be 'pending', 'processing'"),
        ("status=", "should be 'pending'"),
        ("kind=", "at least 1 character"),
        (f"kind={'x' * 101}", "at most 100 characters"),
        ("tag=a b", "match"),
        ("tag=", "match"),
        ("text=", "at least 1 character"),
        (f"text={'x' * 256}", "at most 255 characters"),
        ("text=%00", "NUL"),
        ("created_after=yesterday", "ISO 8601"),
        ("created_after=2030-01-01", "ISO 8601"),
        ("created_after=2030-01-01T00:00:00", "timezone"),
        ("created_after=1893456000", "ISO 8601"),
        ("created_before=1999-12-31T23:59:59Z", "greater than or equal to"),
        ("created_before=2100-01-01T00:00:00Z", "less than"),
        ("created_before=2030-13-01T00:00:00Z", "valid"),
    ],
)
def test_a_bad_value_is_refused_with_its_parameter(api: Api, query: str, rule: str) -> None:
    name, _, value = query.partition("=")
    [error] = problem(api.get(f"/tasks?{name}={quote(value, safe='%')}"), 422)["errors"]
    assert error["parameter"] == name
    assert rule in error["detail"]


@given(text=st.text(min_size=1, max_size=60))
@settings(max_examples=150)
def test_no_text_whatever_is_an_error_of_the_servers(api: Api, text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert api.get(f"/tasks?text={quote(raw)}").status_code in (200, 422)


def test_a_list_shows_where_each_task_is(api: Api) -> None:
    number = api.table.arrange("failed")
    [item] = find(api)["items"]
    here = f"/tasks/{number}"
    links = {"self": here, "attempts": f"{here}/attempts", "retry": f"{here}/retry"}
    assert item["links"] == links


def test_a_title_and_tags_are_found_by_the_terms_that_the_index_was_built_of(world: World) -> None:
    """The index stands since 0003, and the function that it calls was written anew since."""
    text = (SQL / "migrations" / "0003_lists_of_one_tenant.sql").read_text(encoding="utf-8")
    [before] = re.findall(r"create (function terms\(.*?;)", text, re.DOTALL)
    world.table.run(f"create {before.replace(' terms(', ' pg_temp.terms_before(')}")
    dice = random.Random(3)
    letters = "aB1é\u07c0İ中 \u00a0\u3000'\"\\:*&|!<>@/.-_%#\t\n\x7f" + "".join(
        chr(dice.randrange(0x20, 0xD800)) for _ in range(200)
    )
    titles = ["", " ", "a", "a a b", "x@y.example/path?q=1", "<b>3.14e-7</b>", "x" * 255]
    titles += ["".join(dice.choices(letters, k=dice.randrange(1, 40))) for _ in range(2000)]
    tags = [[], ["one"], ["two", "it's", "a\\b", "c d", "one"]]
    rows = world.table.run(
        """
        select title, tags, terms('acme', tags, title) as now
          from unnest(%s::text[]) as title,
               (select array(select jsonb_array_elements_text(t)) as tags
                  from jsonb_array_elements(%s) as t) as tags
         where terms('acme', tags, title)
               is distinct from pg_temp.terms_before('acme', tags, title)
        """,
        [titles, json.dumps(tags)],
    )
    assert rows == []
