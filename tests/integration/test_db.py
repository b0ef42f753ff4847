"""Connections: borrowed, few, replaced when broken; and what is never repeated."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import psycopg2
import pytest

from chalicelib.access import ANYBODY
from chalicelib.db import Database, Statement
from chalicelib.errors import GiveUp, InvalidSettings, StoreRejected, StoreUnavailable
from chalicelib.store import ClientStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

SUICIDE = "select pg_terminate_backend(pg_backend_pid())"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, connections=3)
    database._statements |= {
        "whoami": Statement("whoami", "select pg_backend_pid() as pid", once=False),
        "sleep": Statement("sleep", "select pg_sleep(0.05), pg_backend_pid() as pid", True),  # noqa: FBT003
        "number": Statement("number", "select %(n)s::bigint as n", once=False),
        # Dies of itself the first time it is run, after it has written.
        "dying": Statement("dying", _dying("once"), once=False),
        "dying_once": Statement("dying_once", _dying("once"), once=True),
    }
    yield database
    database.close()


def _dying(mark: str) -> str:
    # Advisory locks end with their session: a sequence is what outlives it, uncommitted or not.
    return f"""select case when nextval('runs') = 1 then pg_terminate_backend(pg_backend_pid()) end,
                      '{mark}' as mark"""


@pytest.fixture
def _runs(world: World) -> Iterator[None]:
    world.table.run("create sequence runs")
    yield
    world.table.run("drop sequence runs")


def _pid(database: Database) -> int:
    [row] = database.query("whoami")
    pid: int = row["pid"]
    return pid


def test_one_thread_keeps_using_one_connection(database: Database) -> None:
    assert len({_pid(database) for _ in range(5)}) == 1


def test_an_idle_connection_that_the_server_closed_is_replaced_before_it_is_used(
    database: Database, world: World
) -> None:
    old = _pid(database)
    world.table.run("select pg_terminate_backend(%s)", [old])
    deadline = time.monotonic() + 5
    while world.table.run("select 1 from pg_stat_activity where pid = %s", [old]):
        assert time.monotonic() < deadline
    # Even a statement that may not be repeated is safe: it never reached the dead connection.
    store = ClientStore(database.query, world.settings, ANYBODY)
    row = store.insert_tasks([{"kind": "default", "title": "a"}])
    assert len(row) == 1
    assert _pid(database) != old
    assert world.table.count() == 1


@pytest.mark.usefixtures("_runs")
def test_a_repeatable_statement_is_repeated_when_its_connection_breaks(
    database: Database, world: World
) -> None:
    [row] = database.query("dying")
    assert row["mark"] == "once"
    assert world.table.run("select last_value from runs") == [{"last_value": 2}]


@pytest.mark.usefixtures("_runs")
def test_a_statement_that_may_not_be_repeated_is_not(database: Database, world: World) -> None:
    with pytest.raises(StoreUnavailable):
        database.query("dying_once")
    assert world.table.run("select last_value from runs") == [{"last_value": 1}]


@pytest.mark.usefixtures("_runs")
def test_a_statement_is_repeated_only_once(database: Database, world: World) -> None:
    suicide = f"select nextval('runs'), ({SUICIDE})"
    database._statements["counted"] = Statement("counted", suicide, once=False)
    with pytest.raises(StoreUnavailable):
        database.query("counted")
    assert world.table.run("select last_value from runs") == [{"last_value": 2}]
    assert _pid(database)


def test_many_threads_share_a_few_connections(database: Database) -> None:
    pids: set[int] = set()
    failures: list[Exception] = []

    def use() -> None:
        try:
            for _ in range(3):
                pids.update(row["pid"] for row in database.query("sleep"))
        except Exception as error:  # noqa: BLE001  (told to the test's own thread)
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(pids) == 3


def test_threads_that_reach_for_the_last_idle_connection_all_get_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread takes the connection between the look and the grasp."""

    class Contested(list):  # type: ignore[type-arg]
        def __bool__(self) -> bool:
            return True

        def __len__(self) -> int:
            return 1

    monkeypatch.setattr(database, "_idle", Contested())
    assert _pid(database)
    list.pop(database._idle).close()


@pytest.mark.parametrize("value", [2**63, "x", "a\0b", "\ud800"])
def test_a_value_that_the_database_will_never_take_is_rejected(
    database: Database, value: object
) -> None:
    before = _pid(database)
    with pytest.raises(StoreRejected):
        database.query("number", n=value)
    assert _pid(database) == before


def test_a_schema_that_was_never_made_is_told_as_such(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(StoreUnavailable, match="migrate it"):
        database.query("read_schema_version")
    database.close()


def test_a_server_that_refuses_connections_is_unavailable_at_once() -> None:
    database = Database("postgresql://postgres:secret@127.0.0.1:1/none")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        database.query("read_schema_version")
    assert time.monotonic() - began < 4
    assert "secret" not in str(caught.value)


def test_a_primary_that_became_read_only_is_left_for_another_connection(
    database: Database, world: World
) -> None:
    number = world.table.arrange("pending", dispatch_after="-infinity")
    before = _pid(database)
    database._statements["freeze"] = Statement(
        "freeze", "set default_transaction_read_only = on", once=False
    )
    database.query("freeze")
    with pytest.raises(StoreUnavailable):
        database.query("mark_unsent", ids=[number], ahead=0)
    assert _pid(database) != before
    database.query("mark_unsent", ids=[number], ahead=0)


def test_a_transaction_is_whole_or_nothing(database: Database, world: World) -> None:
    number = world.table.arrange("pending")

    def fail_in_transaction() -> None:
        with database.transaction() as transaction:
            transaction.query("fail_unqueued_task", id=number, message="away")
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_transaction()
    assert world.table.status(number) == "pending"
    with database.transaction() as transaction:
        assert transaction.query("fail_unqueued_task", id=number, message="away") == [
            {"id": number}
        ]
    assert world.table.status(number) == "failed"


@pytest.mark.parametrize("committed", [True, False])
def test_what_a_transaction_sets_in_its_session_is_not_found_by_the_next_statement(
    database: Database, *, committed: bool
) -> None:
    with contextlib.suppress(KeyError), database.transaction() as transaction:
        transaction.execute(
            "set search_path to nowhere; select pg_advisory_lock(5); create temp table a (b int)"
        )
        if not committed:
            raise KeyError
    with database.transaction() as transaction:
        [found] = transaction.execute(
            """select to_regclass('tasks')::text as ours, to_regclass('a') as temporary,
                      (select count(*) from pg_locks
                        where locktype = 'advisory' and pid = pg_backend_pid()) as locks"""
        )
    assert found == {"ours": "tasks", "temporary": None, "locks": 0}


@pytest.mark.parametrize("statement", ["commit", "rollback", "select 1; commit"])
def test_a_transaction_that_is_ended_by_a_statement_in_it_goes_no_further(
    database: Database, world: World, statement: str
) -> None:
    number = world.table.arrange("pending")

    def end() -> None:
        with database.transaction() as transaction:
            with pytest.raises(GiveUp):
                transaction.execute(statement)
            transaction.query("fail_unqueued_task", id=number, message="away")

    with pytest.raises(GiveUp, match="ends with the attempt"):
        end()
    assert world.table.status(number) == "pending"


def test_a_lock_that_takes_too_long_is_unavailable_not_an_error_of_ours(
    world: World,
) -> None:
    number = world.table.arrange("pending")
    impatient = Database(f"{world.settings.database_url}?options=-c%20lock_timeout%3D50")
    other = psycopg2.connect(world.settings.database_url)
    with other, other.cursor() as cursor:
        cursor.execute("select 1 from tasks where id = %s for update", [number])
        with pytest.raises(StoreUnavailable) as caught:
            impatient.query("mark_unsent", ids=[number], ahead=0)
    assert caught.value.context["sqlstate"] == "55P03"
    other.close()
    impatient.close()


def test_a_url_that_is_none_is_named_and_not_shown() -> None:
    database = Database("postgresql://user:sek%ret@127.0.0.1/x")
    with pytest.raises(InvalidSettings) as caught:
        database.query("read_schema_version")
    assert "DATABASE_URL" in str(caught.value)
    assert "sek" not in str(caught.value)
    assert caught.value.__cause__ is None
