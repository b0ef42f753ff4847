"""What the statements read of a table with a million rows: no more than of a small one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.access import ANYBODY
from chalicelib.db import named_statements
from chalicelib.handlers.report_generate import MOST
from chalicelib.service.stats import COUNT_LIMIT, SAMPLE
from chalicelib.store import health
from chalicelib.store.clients import MOST_LOOKED_AT
from chalicelib.task import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.plans, pytest.mark.timeout(300)]

MILLION = 1_000_000
#: Pages of 8 KiB that a list of fifty may read: its rows, the ways to them, and the sample by
#: which a tag or words are found to be rare.
MOST_PAGES = 1500
#: The longest that one may take, in seconds; a walk through the table takes several times that.
PATIENCE = 0.5
STATEMENTS = named_statements()
TOKEN = "00000000-0000-4000-8000-00000000000b"  # noqa: S105  (no password)
ANY = {
    "before": datetime.max.replace(tzinfo=UTC),
    "before_id": 0,
    "most": MOST_LOOKED_AT,
    "status": None,
    "kind": None,
    "tag": None,
    "created_after": None,
    "text": None,
    "limit": 51,
} | ANYBODY.proof()

#: Of a million finished tasks: one in a thousand failed, one in a hundred is of kind mail and none
#: of these failed, every one has the tag common, a few, long ago, the tag and the word rare, and
#: the thirty newest the tag and the word fresh.
FILL = """
insert into tasks (tenant, kind, title, status, attempt, tags, error, created_at, updated_at,
                   started_at, finished_at)
select case when n %% 10 = 0 then 'other' else 'default' end,
       case when n %% 100 = 2 then 'mail' else 'default' end,
       'Report ' || n || case when n between 5000 and 5020 then ' rare'
                              when n > %(rows)s - 30 then ' fresh' else ' usual' end,
       case when n %% 1000 = 1 then 'failed' else 'completed' end, 1,
       case when n between 5000 and 5020 then '{common,rare}'
            when n > %(rows)s - 30 then '{common,fresh}' else '{common}' end::text[],
       case when n %% 1000 = 1 then '{"code": "exception"}'::jsonb end,
       now() - make_interval(secs => %(rows)s - n), now(), now(), now()
  from generate_series(1, %(rows)s) as n
"""


@pytest.fixture(scope="module")
def table(new_database: Callable[[str | None], str], template_url: str) -> Iterator[Any]:
    """A cursor on a database with a million finished tasks."""
    connection = psycopg2.connect(new_database(template_url))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("select indexdef from pg_indexes where tablename = 'tasks'")
        indexes = [row[0] for row in cursor.fetchall() if "_pkey" not in row[0]]
        for index in indexes:  # built at the end, which takes a third of the time
            cursor.execute(f"drop index {index.split(' ON ')[0].split()[-1]}")
        cursor.execute(FILL, {"rows": MILLION})
        cursor.execute("set maintenance_work_mem = '512MB'")
        for index in indexes:
            cursor.execute(index)
        cursor.execute("vacuum analyze tasks")
        yield cursor
    connection.close()


@pytest.fixture
def unanalyzed(new_database: Callable[[str | None], str], template_url: str) -> Iterator[Any]:
    """A cursor on a database that has no statistics, and gets none."""
    connection = psycopg2.connect(new_database(template_url))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("alter table tasks set (autovacuum_enabled = off)")
        yield cursor
    connection.close()


def explained(cursor: Any, name: str, **arguments: Any) -> tuple[int, float, str]:
    """Return the pages that a statement reads, its seconds, and its plan."""
    sql = "explain (analyze, buffers, format json) " + STATEMENTS[name].sql
    cursor.execute("begin")
    begun = time.monotonic()
    cursor.execute(sql, arguments)
    [[[told]]] = cursor.fetchall()
    seconds = time.monotonic() - begun
    cursor.execute("rollback")
    plan = told["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], seconds, str(told)


OLD = "2020-01-01T00:00:00Z"
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "a common status": {"status": "completed"},
    "a rare status": {"status": "failed"},
    "a status that none has": {"status": "cancelled"},
    "a common kind": {"kind": "default"},
    "a rare kind": {"kind": "mail"},
    "a kind that none has": {"kind": "unheard of"},
    "a common tag": {"tag": "common"},
    "a rare tag": {"tag": "rare"},
    "a tag that none has": {"tag": "unheard-of"},
    "a common word": {"text": "usual"},
    "a rare word": {"text": "rare"},
    "the beginning of a word": {"text": "rar"},
    "a word that none has": {"text": "unheard"},
    "a tag of the newest": {"tag": "fresh"},
    "a word of the newest": {"text": "fresh"},
    "a rare tag and a rare word": {"tag": "rare", "text": "report rare"},
    "a tag and a status that hardly go together": {"tag": "rare", "status": "failed"},
    "a range of time": {"created_after": "now-600000", "created_before": "now-599900"},
    "a range before the first": {"created_before": OLD},
    "a status in a range": {"status": "failed", "created_before": "now-600000"},
    "a common word in a range": {"text": "usual", "created_before": "now-600000"},
    "the beginning of a common word, in a range": {"text": "usu", "created_before": "now-600000"},
    "a common tag in a range": {"tag": "common", "created_before": "now-600000"},
}
#: Any two of them that do not speak of the same thing.
TOGETHER = {
    f"{one} and {other}": FILTERS[one] | FILTERS[other]
    for one, other in combinations(FILTERS, 2)
    if FILTERS[one] and not FILTERS[one].keys() & FILTERS[other].keys()
}


@pytest.mark.parametrize("deep", [False, True], ids=["first page", "deep page"])
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
def test_a_list_reads_little_of_a_million_tasks(
    table: Any, filters: dict[str, Any], *, deep: bool
) -> None:
    chosen = arguments(table, filters)
    if deep and "created_before" not in filters:  # a cursor lies within what is asked for
        table.execute("select created_at, id from tasks where id = %s", [MILLION // 2])
        chosen |= dict(zip(("before", "before_id"), table.fetchone(), strict=True))
    pages, seconds, plan = explained(table, "list_tasks", **(ANY | chosen))
    assert (
        "'Node Type': 'Seq Scan', 'Parent Relationship': 'Outer', 'Relation Name': 'tasks'"
        not in plan
    )
    assert pages < MOST_PAGES
    assert seconds < PATIENCE


def arguments(table: Any, filters: dict[str, Any]) -> dict[str, Any]:
    """Return what the statement is given for such filters."""
    chosen = {name: moment(table, value) for name, value in filters.items()}
    if "created_before" in chosen:
        chosen["before"] = chosen.pop("created_before")
    return chosen


def moment(table: Any, value: Any) -> Any:
    """Return a filter's value; ``now-60`` is a minute ago."""
    if not str(value).startswith("now-"):
        return value
    table.execute("select now() - make_interval(secs => %s)", [float(value[4:])])
    return table.fetchone()[0]


@pytest.mark.parametrize("filters", TOGETHER.values(), ids=TOGETHER.keys())
def test_a_list_by_two_filters_reads_little_of_a_million_tasks(
    table: Any, filters: dict[str, Any]
) -> None:
    pages, seconds, _ = explained(table, "list_tasks", **(ANY | arguments(table, filters)))
    assert pages < 2 * MOST_PAGES + MOST_LOOKED_AT
    assert seconds < PATIENCE


@pytest.mark.parametrize("filters", [{"tag": "common"}, {"text": "usual"}, {"text": "rep"}])
def test_what_nearly_all_tasks_have_is_not_looked_up(table: Any, filters: dict[str, str]) -> None:
    """To gather a million of them from the index takes a tenth of a second."""
    explained(table, "list_tasks", **(ANY | filters))  # the first time, the catalogue is read too
    pages, _, _ = explained(table, "list_tasks", **(ANY | filters))
    assert pages < 128


def test_a_tag_is_found_that_the_statistics_know_nothing_of(table: Any) -> None:
    """Newer than the last ANALYZE, it is expected to be on one task in two hundred."""
    table.execute("update tasks set tags = tags || array['new'] where id % 100000 = 1")
    pages, _, _ = explained(table, "list_tasks", **(ANY | {"tag": "new"}))
    assert pages < MOST_PAGES
    table.execute(STATEMENTS["list_tasks"].sql, ANY | {"tag": "new"})
    assert len(table.fetchall()) == 10


def test_a_list_shows_the_rare_ones_all_the_same(table: Any) -> None:
    for filters in ({"tag": "rare"}, {"text": "rare"}, {"tag": "rare", "text": "rare"}):
        table.execute(STATEMENTS["list_tasks"].sql, ANY | filters)
        assert len(table.fetchall()) == 18  # of 21, three are another tenant's


RETRY = {
    **dict.fromkeys(("kind", "tag", "text", "created_before")),
    **ANYBODY.proof(),
    "after": datetime.min.replace(tzinfo=UTC),
    "after_id": 0,
    "most": MOST_LOOKED_AT,
    "status": "failed",
    "more": 3,
    "attempts": "{}",
    "grace": 120.0,
}


@pytest.mark.parametrize("filters", [{}, {"kind": "mail"}, {"text": "zzz"}, {"tag": "rare"}])
def test_many_are_found_to_be_tried_again_without_reading_all(
    table: Any, filters: dict[str, str]
) -> None:
    pages, seconds, _ = explained(table, "retry_tasks", **(RETRY | filters), limit=10)
    assert pages < MOST_PAGES
    assert seconds < PATIENCE


@pytest.mark.parametrize("filters", [["tag"], ["text"], ["tag", "text"]])
def test_a_search_reads_no_more_where_another_tenant_has_what_it_looks_for(
    table: Any, filters: list[str]
) -> None:
    """The time that it takes would tell what the other has."""
    table.execute(
        "insert into tasks (tenant, title, tags)"
        " select 'third', 'Merger', '{merger}' from generate_series(1, 20000)"
    )
    table.execute("vacuum analyze tasks")
    theirs, nobodys = (
        [
            explained(table, "list_tasks", **(ANY | dict.fromkeys(filters, word)))[0]
            for _ in range(3)
        ][-1]
        for word in ("merger", "nothing")
    )
    table.execute("delete from tasks where tenant = 'third'")
    table.execute("vacuum tasks")  # others look at this table, too
    assert abs(theirs - nobodys) <= 3


STATS = {
    **ANYBODY.proof(),
    "minutes": 60,
    "most": COUNT_LIMIT,
    "sample": SAMPLE,
    "statuses": [*map(str, Status)],
}


def test_statistics_read_no_more_than_what_they_count(table: Any) -> None:
    """All of the million have finished within the window, and half of them are counted in none."""
    pages, _, plan = explained(table, "read_stats", **STATS)
    assert "'Node Type': 'Seq Scan', 'Parent Relationship': 'Outer', 'Relation Name'" not in plan
    # At most four counts end at the limit, with some hundred entries to a page of an index.
    assert pages < 4 * COUNT_LIMIT / 100


def test_a_report_reads_a_days_tasks_and_no_others(table: Any) -> None:
    """A day of 86,400 tasks, a tenth of them another tenant's, lie in a twelfth of the table."""
    table.execute("select pg_relation_size('tasks') / 8192, now() - interval '5 days'")
    [(whole, since)] = table.fetchall()
    asked = {"tenant": "default", "since": since, "until": since + timedelta(days=1)}
    pages, seconds, plan = explained(table, "report_tasks", **asked, most=MOST)
    assert "Seq Scan" not in plan
    assert pages < whole / 8
    assert seconds < 4 * PATIENCE


def test_statistics_without_any_statistics_of_the_planners(unanalyzed: Any) -> None:
    """Sixty minutes are no sixty walks through the table."""
    unanalyzed.execute(FILL, {"rows": 20_000})
    unanalyzed.execute("select pg_relation_size('tasks') / 8192")
    [(whole,)] = unanalyzed.fetchall()
    pages, _, _ = explained(unanalyzed, "read_stats", **STATS)
    # What is not vacuumed is looked up in the table, entry by entry.
    assert pages < 20 * whole


KEYED = """
insert into tasks (title, status, error, finished_at, updated_at, attempt, unique_key, unique_scope)
select 'x', case when n % 10 = 1 then 'failed' else 'completed' end,
       case when n % 10 = 1 then '{"code": "exception"}'::jsonb end, now(), now(), 1, 'key-' || n,
       'forever'
  from generate_series(1, 10000) as n
"""


def test_unique_keys_are_looked_up_one_by_one_before_there_are_statistics(unanalyzed: Any) -> None:
    """A thousand failed tasks and ten thousand keys are not ten million comparisons."""
    unanalyzed.execute(KEYED)
    pages, _, _ = explained(unanalyzed, "retry_tasks", **RETRY, limit=1000)
    # For each of the thousand: a way down one index to find it, and down some ten to change it.
    assert pages < 1000 * 60


CREATE = {
    "items": '[{"title": "x", "kind": "default", "tags": [], "delay": 0}]',
    "key": None,
    "fingerprint": None,
    "attempt_limit": 3,
    "grace": 120,
    "ahead": 900,
    "rate": 0,
    "burst": 0,
    "open_limit": 0,
} | ANYBODY.proof()


def test_a_creation_reads_little_though_it_was_planned_for_an_empty_table(unanalyzed: Any) -> None:
    """A session keeps the plans of a function until there are new statistics."""
    for _ in range(8):  # of which the last are the plans that are kept
        explained(unanalyzed, "insert_tasks", **CREATE)
    unanalyzed.execute(FILL, {"rows": 20_000})
    pages, _, _ = explained(unanalyzed, "insert_tasks", **CREATE)
    assert pages < 60


def claim_of(ids: list[int]) -> dict[str, Any]:
    return {
        "ids": ids,
        "message_ids": ["m"] * len(ids),
        "receive_counts": [1] * len(ids),
        "trace_ids": [None] * len(ids),
        "token": TOKEN,
        "lease": 60,
        "request_id": "r",
        "alone": False,
        "grace": 120,
    }


def settling_of(ids: list[int]) -> dict[str, Any]:
    return {
        "ids": ids,
        "outcomes": ["completed"] * len(ids),
        "results": ["1"] * len(ids),
        "errors": [None] * len(ids),
        "delays": [0.0] * len(ids),
        "unsent": [False] * len(ids),
        "token": TOKEN,
        "grace": 120,
        "ahead": 900,
    }


def waiting(cursor: Any, many: int) -> list[int]:
    sql = "insert into tasks (title) select 'x' from generate_series(1, %s) returning id"
    cursor.execute(sql, [many])
    return [row[0] for row in cursor.fetchall()]


def test_a_claim_reads_no_more_than_the_rows_it_takes(table: Any) -> None:
    claim = claim_of(waiting(table, 10))
    explained(table, "claim_tasks", **claim)  # reads the catalogs, too
    pages, _, _ = explained(table, "claim_tasks", **claim)
    # For each row: itself, and a way down each of some ten indexes.
    assert pages < 10 * 60


def test_a_session_that_began_with_an_empty_table_looks_rows_up_in_a_large_one(
    unanalyzed: Any,
) -> None:
    first = waiting(unanalyzed, 1)
    unanalyzed.execute(STATEMENTS["claim_tasks"].sql, claim_of(first))
    unanalyzed.execute(STATEMENTS["settle_attempts"].sql, settling_of(first))
    ids = waiting(unanalyzed, 20_000)[-10:]
    pages, _, _ = explained(unanalyzed, "claim_tasks", **claim_of(ids))
    assert pages < 10 * 60
    unanalyzed.execute(STATEMENTS["claim_tasks"].sql, claim_of(ids))
    pages, _, _ = explained(unanalyzed, "settle_attempts", **settling_of(ids))
    assert pages < 10 * 60


def test_the_backlog_is_looked_at_along_indexes_however_long_it_is(table: Any) -> None:
    asked = {"most": health.MOST, "ahead": 900}
    pages, seconds, plan = explained(table, "read_backlog", **asked)
    assert "Seq Scan" not in plan
    assert pages < MOST_PAGES
    assert seconds < PATIENCE
    for dispatch_after in ("-infinity", "2020-01-01"):
        table.execute(
            "insert into tasks (title, dispatch_after, expires_at)"
            " select 'x', %s, '2020-01-01' from generate_series(1, 20000)",
            [dispatch_after],
        )
    pages, seconds, plan = explained(table, "read_backlog", **asked)
    assert "Seq Scan" not in plan
    # Six counts, each of which looks a row up for each that it counts.
    assert pages < 6 * health.MOST + MOST_PAGES
    assert seconds < PATIENCE


def test_the_lag_of_the_outbox_is_read_off_the_first_rows_of_an_index(table: Any) -> None:
    table.execute(
        "insert into tasks (tenant, title, dispatch_after)"
        " select 'late', 'x', '-infinity' from generate_series(1, 20000)"
    )
    table.execute("analyze tasks")
    pages, _, plan = explained(table, "read_outbox_lag")
    assert pages < MOST_PAGES
    assert "tasks_to_dispatch" in plan


@pytest.mark.parametrize("per_key", [None, 1])
def test_who_is_called_next_is_found_without_a_walk_along_the_line(
    unanalyzed: Any, per_key: int | None
) -> None:
    unanalyzed.execute(
        "insert into tasks (kind, title, held, dispatch_after, limit_key)"
        " select case when n > 20000 then 'short' else 'long' end, 'x', 'parked', 'infinity',"
        "        n %% 50"
        "   from generate_series(1, 20010) as n;"
        "insert into kind_limits (kind, running, running_per_key)"
        " values ('long', 5, %s), ('short', 5, %s)",
        [per_key, per_key],
    )
    unanalyzed.execute("analyze tasks")
    for kind in ("short", "long"):
        arguments = {"kinds": [kind], "most": 100, "grace": 120.0}
        # From its sixth time on, the server may keep the plan of a statement of a function.
        pages = [explained(unanalyzed, "call_parked", **arguments)[0] for _ in range(8)]
        assert max(pages[1:]) < 600, kind  # the first call reads the catalogs, too


def test_the_end_of_a_line_of_promises_is_found_without_a_walk_along_it(unanalyzed: Any) -> None:
    unanalyzed.execute(
        "insert into tasks (kind, title, held, run_at, dispatch_after)"
        " select 'long', 'x', 'promised', now() + make_interval(secs => n), now()"
        "   from generate_series(1, 20000) as n;"
        "insert into tasks (kind, title) values ('long', 'x') returning id"
    )
    [number] = unanalyzed.fetchone()
    unanalyzed.execute("insert into kind_limits (kind, rate, burst) values ('long', 1, 1)")
    pages = []
    for _ in range(8):
        sql = "explain (analyze, buffers, format json) select hold_back(%s)"
        unanalyzed.execute(sql, [[number]])
        [[[told]]] = unanalyzed.fetchall()
        pages.append(told["Plan"]["Shared Hit Blocks"])
    assert max(pages[1:]) < 200  # the first call reads the catalogs, too
