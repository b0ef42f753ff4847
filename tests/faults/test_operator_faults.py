"""Humans and their tools: locks, limits, forgotten transactions, migrations."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.db import named_statements
from tests.e2e.stack import eventually
from tests.faults.conserved import all_completed
from tests.faults.scene import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.scene import Scene


@pytest.fixture
def url(own_url: str) -> str:
    """Each test has a database of its own: they change its schema or its settings."""
    return own_url


def set_in_database(scene: Scene, **settings: str) -> None:
    """Do ALTER DATABASE … SET, as for a role; every session of the service is a new one then."""
    name = scene.url.rsplit("/", 1)[1]
    for setting, value in settings.items():
        scene.table.run(f"alter database {name} set {setting} = '{value}'")
    scene.end_sessions()


@pytest.fixture
def human(url: str) -> Iterator[Any]:
    """A cursor of somebody else's, in a transaction that is left open."""
    connection = psycopg2.connect(url)
    with contextlib.closing(connection):
        yield connection.cursor()


def waiting_for_locks(scene: Scene) -> int:
    [row] = scene.table.run(
        "select count(*) as n from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    count: int = row["n"]
    return count


def test_a_statement_that_takes_longer_than_allowed_keeps_its_batch(scene: Scene) -> None:
    ids = [scene.posted() for _ in range(3)]
    scene.table.run(
        """create function dawdle() returns trigger language plpgsql as $$
           begin perform pg_sleep(5); return new; end $$;
           create trigger dawdle before update on tasks for each row execute function dawdle()"""
    )
    set_in_database(scene, statement_timeout="100ms")
    scene.deliver()
    assert scene.line.left() == 3
    assert {scene.table.status(number) for number in ids} == {"pending"}
    scene.table.run("drop trigger dawdle on tasks")
    set_in_database(scene, statement_timeout="0")
    all_completed(scene, *ids)


@pytest.mark.parametrize("limit", ["lock_timeout", "patience"])
def test_a_row_that_a_human_locks_keeps_its_batch_until_they_are_done(
    scene_of: Callable[..., Scene], human: Any, limit: str
) -> None:
    """Without a lock_timeout the claim is carried out when nobody waits for it any more."""
    scene = scene_of(database_patience=4 if limit == "lock_timeout" else 0.5)
    ids = [scene.posted() for _ in range(3)]
    if limit == "lock_timeout":
        set_in_database(scene, lock_timeout="50ms")
    human.execute("select 1 from tasks where id = %s for update", [ids[1]])
    scene.deliver()
    assert scene.line.left() == 3
    assert scene.runs == []
    human.connection.rollback()
    eventually(lambda: waiting_for_locks(scene) == 0, 10)
    all_completed(scene, *ids)


def test_a_dead_lock_with_a_human_is_resolved_and_the_claim_repeated(
    scene: Scene, human: Any
) -> None:
    first, second = scene.posted(), scene.posted()
    set_in_database(scene, deadlock_timeout="300ms")
    human.execute("set deadlock_timeout = '20s'")
    human.execute("select 1 from tasks where id = %s for update", [second])
    worker = in_thread(scene.deliver)
    eventually(lambda: waiting_for_locks(scene) == 1, 10)
    # The worker holds the first and waits for the second: now each waits for the other.
    human.execute("select 1 from tasks where id = %s for update", [first])
    human.connection.rollback()
    worker.join()
    assert {scene.table.status(number) for number in (first, second)} == {"completed"}
    all_completed(scene, first, second)
    assert {scene.table.row(number)["attempt"] for number in (first, second)} == {1}


def test_a_transaction_that_somebody_forgot_is_ended_where_the_database_is_told_to(
    scene: Scene,
) -> None:
    number = scene.posted()
    set_in_database(scene, idle_in_transaction_session_timeout="200ms")
    forgetful = psycopg2.connect(scene.url)
    cursor = forgetful.cursor()
    cursor.execute("select 1 from tasks where id = %s for update", [number])
    began = time.monotonic()
    scene.deliver()
    assert time.monotonic() - began < 3
    assert scene.table.status(number) == "completed"
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("select 1")
    forgetful.close()
    all_completed(scene, number)


def _touched(scene: Scene, ids: list[int]) -> int:
    """Return how many pages a claim of these tasks reads."""
    arguments = {
        "ids": ids,
        "message_ids": ["m"] * len(ids),
        "receive_counts": [1] * len(ids),
        "trace_ids": [None] * len(ids),
        "token": "00000000-0000-4000-8000-00000000000b",
        "lease": 60,
        "request_id": "r",
        "alone": False,
        "grace": 120,
    }
    sql = "explain (analyze, buffers, format json) " + named_statements()["claim_tasks"].sql
    connection = psycopg2.connect(scene.url)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        [[[plan]]] = [cursor.fetchall()[0]]
        connection.rollback()
    told = plan["Plan"]
    return int(told["Shared Hit Blocks"]) + int(told["Shared Read Blocks"])


def test_a_transaction_that_stays_open_does_not_slow_claims_down(scene: Scene, human: Any) -> None:
    """Dead rows pile up behind it; a claim goes by id and does not meet them."""
    scene.table.run(
        "insert into tasks (title, dispatch_after)"
        " select 'x', now() + interval '1 h' from generate_series(1, 5000)"
    )
    scene.table.run("vacuum analyze tasks")
    fresh = list(range(4000, 4010))
    before = _touched(scene, fresh)
    human.connection.set_session(isolation_level="REPEATABLE READ")
    human.execute("select count(*) from tasks")
    for _ in range(4):
        scene.table.run("update tasks set dispatch_count = dispatch_count + 1 where id < 4000")
    scene.table.run("vacuum tasks")
    [dead] = scene.table.run(
        "select n_dead_tup as n from pg_stat_user_tables where relname = 'tasks'"
    )
    assert dead["n"] > 3000
    assert _touched(scene, fresh) < 2 * before + 20
    human.connection.rollback()
    scene.table.run("delete from tasks")
    all_completed(scene, scene.posted())


def test_old_code_works_on_while_a_newer_schema_is_put_under_it(scene: Scene) -> None:
    """Migrations only add: a column, an index, a table."""
    later = (
        "alter table tasks add column weight integer not null default 0",
        "create index tasks_by_weight on tasks (weight, id)",
        "create table notes (task_id bigint references tasks (id) on delete cascade)",
        "insert into schema_migrations (version, name, checksum) values (99, '0099_x.sql', 'x')",
    )

    @scene.registry.handler("meanwhile")
    def meanwhile(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        for statement in later:
            scene.table.run(statement)
        return {"attempt": task.attempts_spent}

    ids = [scene.posted(), scene.posted(kind="meanwhile"), scene.posted()]
    scene.deliver()
    assert {scene.table.status(number) for number in ids} == {"completed"}
    assert scene.client.http.get("/readyz").status_code == 200
    assert json.loads(scene.client.http.get(f"/tasks/{ids[0]}").body)["id"] == ids[0]
    ids.append(scene.posted())
    all_completed(scene, *ids)
