"""What a call of a client reads does not grow with the table: plans at a million tasks."""

from __future__ import annotations

import contextlib
import uuid
from itertools import combinations
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.access import ANYBODY
from chalicelib.db import Database, named_statements
from chalicelib.outcome import Completed
from chalicelib.queue import Message
from chalicelib.schemas import RetryMany
from chalicelib.settings import Settings
from chalicelib.store import ClientStore, Settlement, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.db import Rows

pytestmark = [pytest.mark.plans, pytest.mark.timeout(300)]

SETTINGS = Settings(auth="off")
STATEMENTS = named_statements()
ANY = dict.fromkeys(("status", "kind", "tag", "created_after", "created_before", "text"))
PAGE = 101  # the largest, and the one more that tells whether there is another
#: Pages of 8 KiB that a call may read: the table has forty thousand, and its indexes as many.
MOST = 3500

#: A second apart. Of a thousand tasks eight are failed and one waits; words and tags are on all
#: of them, on one in a hundred, in ten thousand, or on none.
FILL = """
insert into tasks (title, kind, tags, status, attempt, created_at, updated_at, started_at,
                   finished_at, error)
select 'Process user data ' || n || case when n % 10000 = 5 then ' zebra' else '' end
       || case when n % 100 = 7 then ' invoice' else '' end,
       case when n % 5000 = 3 then 'rare' when n % 3 = 0 then 'mail' else 'default' end,
       array['common'] || case when n % 100 = 9 then array['often'] else '{}' end
           || case when n % 10000 = 1 then array['seldom'] else '{}' end,
       status, case status when 'pending' then 0 else 3 end, at, at, at,
       case status when 'pending' then null else at end,
       case status when 'failed' then '{"code": "exception"}'::jsonb end
  from (select n, now() - make_interval(secs => 1000000 - n) as at,
               case when n % 1000 < 8 then 'failed' when n % 1000 = 8 then 'pending'
                    else 'completed' end as status
          from generate_series(1, 1000000) as n) as made
"""
INDEXES = "select indexname, indexdef from pg_indexes where tablename = 'tasks'"


class Explained:
    """Runs the service's statements as it does, and remembers how the server did it."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True
        self.pages = 0
        self.scans: set[str] = set()

    def close(self) -> None:
        self.connection.close()

    def __call__(self, name: str, /, **arguments: Any) -> Rows:
        sql = STATEMENTS[name].sql
        with self.connection.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute(f"explain (analyze, buffers, format json) {sql}", arguments)
            [[[plan]]] = cursor.fetchall()
            cursor.execute("rollback")
            cursor.execute(sql, arguments)
            columns = [column.name for column in cursor.description or ()]
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        top = plan["Plan"]
        self.pages = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
        self.scans = set(_scans(top))
        return rows


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if "Scan" in node["Node Type"] and "Relation Name" in node:
        yield f"{node['Node Type']} of {node['Relation Name']}"
    for inner in node.get("Plans", ()):
        yield from _scans(inner)


@pytest.fixture(scope="module")
def million_url(new_database: Callable[[str | None], str], template_url: str) -> str:
    """The URL of a database with a million tasks."""
    url = new_database(template_url)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"{INDEXES} and indexname <> 'tasks_pkey'")
        indexes = cursor.fetchall()  # built at the end, in a quarter of the time
        for name, _ in indexes:
            cursor.execute(f"drop index {name}")
        cursor.execute(FILL)
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("vacuum analyze tasks")
    return url


@pytest.fixture(scope="module")
def explained(million_url: str) -> Iterator[Explained]:
    made = Explained(million_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def moments(explained: Explained) -> dict[str, Any]:
    """Times in the table: a day's beginning and end, long ago."""
    with explained.connection.cursor() as cursor:
        cursor.execute("select now() - interval '10 days', now() - interval '9 days'")
        [[after, before]] = cursor.fetchall()
    return {"created_after": after, "created_before": before}


#: Each filter with common and rare values, and some that nothing has.
VALUES: list[dict[str, Any]] = [
    *({"status": status} for status in ("completed", "failed", "pending", "cancelled")),
    *({"kind": kind} for kind in ("default", "mail", "rare", "none")),
    *({"tag": tag} for tag in ("common", "often", "seldom", "none")),
    *({"text": text} for text in ("process", "inv", "zebra", "none", "user process zeb", "777777")),
    {"created_after": True},
    {"created_before": True},
    {"created_after": True, "created_before": True},
]
PAIRS = [one | other for one, other in combinations(VALUES, 2) if not one.keys() & other.keys()]


def assert_bounded(explained: Explained, most: int = MOST) -> None:
    assert "Seq Scan of tasks" not in explained.scans
    assert explained.pages < most


@pytest.mark.parametrize("filters", [{}, *VALUES, *PAIRS], ids=str)
def test_a_page_of_a_million_tasks_reads_little_and_so_does_one_deep_down(
    explained: Explained, moments: dict[str, Any], filters: dict[str, Any]
) -> None:
    store = ClientStore(explained, SETTINGS, ANYBODY)
    wanted = ANY | {name: moments.get(name, value) for name, value in filters.items()}
    found = store.list_tasks(before=None, limit=PAGE, **wanted)
    assert_bounded(explained)
    if not found:
        return
    start = found[-1].task.created_at - (found[-1].task.created_at - moments["created_after"]) / 2
    store.list_tasks(before=(start, 0), limit=PAGE, **wanted)
    assert_bounded(explained)


def test_without_a_filter_or_with_one_of_its_own_index_a_page_reads_less_than_a_megabyte(
    explained: Explained, moments: dict[str, Any]
) -> None:
    store = ClientStore(explained, SETTINGS, ANYBODY)
    for filters in ({}, {"status": "failed"}, {"status": "completed"}, {"kind": "rare"}, moments):
        store.list_tasks(before=None, limit=PAGE, **(ANY | filters))
        assert_bounded(explained, 128)


def test_a_tag_is_found_though_the_statistics_know_nothing_of_it(
    explained: Explained,
) -> None:
    """Newer than the last ANALYZE, it is expected to be on five thousand tasks."""
    store = ClientStore(explained, SETTINGS, ANYBODY)
    with explained.connection.cursor() as cursor:
        cursor.execute("update tasks set tags = tags || array['new'] where id % 100000 = 1")
    found = store.list_tasks(before=None, limit=PAGE, **(ANY | {"tag": "new"}))
    assert len(found) == 10
    assert_bounded(explained, 128)


@pytest.mark.parametrize("filters", [{}, {"kind": "rare"}, {"text": "zebra"}, {"tag": "none"}])
def test_choosing_a_thousand_failed_tasks_reads_little_more_than_them(
    explained: Explained, filters: dict[str, Any]
) -> None:
    query = RetryMany(**filters).model_dump()
    arguments = ANYBODY.proof() | {"more": 3, "grace": 120} | query
    sql = STATEMENTS["retry_tasks"].sql
    chosen, _, _ = sql.partition("), moved as (")
    with explained.connection.cursor() as cursor:
        statement = f"explain (analyze, buffers, format json) {chosen}) table chosen"
        cursor.execute(statement, arguments)
        [[[plan]]] = cursor.fetchall()
    assert "Seq Scan of tasks" not in set(_scans(plan["Plan"]))
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 10_000


def work_ten(url: str) -> tuple[int, int]:
    """Create ten tasks, claim and settle them; return the pages that the two statements touch."""
    with contextlib.closing(Explained(url)) as explained:
        database = Database(url)
        made = ClientStore(database.query, SETTINGS, ANYBODY).insert_tasks(
            [{"kind": "default", "title": "x", "tags": ["common"], "delay": 0}] * 10
        )
        database.close()
        store, token = Store(explained, SETTINGS), str(uuid.uuid4())
        messages = [
            Message(
                id="m", receipt="r", task_id=one.task.id, receive_count=1, trace_id=None, body=""
            )
            for one in made
        ]
        store.claim_tasks(messages, token=token, lease=60, request_id="q")
        claim = explained.pages
        ends = [Settlement(id=one.task.id, outcome=Completed("null"), unsent=False) for one in made]
        store.settle_attempts(ends, token=token)
        return claim, explained.pages


def test_to_claim_and_to_settle_touch_no_more_pages_at_a_million_than_at_none(
    million_url: str, own_database_url: str
) -> None:
    """A few more, since trees of indexes are higher by a level or two."""
    small, large = work_ten(own_database_url), work_ten(million_url)
    for few, many in zip(small, large, strict=True):
        assert many < 1.5 * few + 50
