"""The schema's steps are applied once, in order, whole or not at all."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from psycopg2.extensions import parse_dsn

from chalicelib import migrations
from chalicelib.db import Database
from chalicelib.errors import MigrationRefused, StoreUnavailable
from chalicelib.migrations import Migration
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.fakes import FakeQueue
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE = Migration(1, "0001_one.sql", "create table one (a integer)")
TWO = Migration(2, "0002_two.sql", "create table two (a integer)")


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url, connections=2)
    yield database
    database.close()


@pytest.fixture
def table(empty_url: str) -> Iterator[Table]:
    table = Table(empty_url)
    yield table
    table.close()


def _tables(table: Table) -> set[str]:
    rows = table.run("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows}


def test_the_steps_are_applied_in_order_and_only_once(database: Database, table: Table) -> None:
    assert migrations.migrate(database, [ONE]) == ["0001_one.sql"]
    assert migrations.migrate(database, [ONE, TWO]) == ["0002_two.sql"]
    assert migrations.migrate(database, [ONE, TWO]) == []
    assert _tables(table) == {"one", "two", "schema_migrations"}


def test_the_projects_own_steps_reach_the_version_the_code_was_written_for(
    database: Database,
) -> None:
    assert migrations.migrate(database) == [step.name for step in migrations.load()]
    [row] = database.query("read_schema_version")
    assert row["version"] == migrations.newest_version()


def test_two_migrators_at_once_take_turns(database: Database) -> None:
    applied: list[list[str]] = []
    start = threading.Barrier(2)

    def migrate() -> None:
        start.wait()
        applied.append(migrations.migrate(database, [ONE, TWO]))

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [[], ["0001_one.sql", "0002_two.sql"]]


def test_a_step_that_was_altered_after_it_was_applied_is_refused(database: Database) -> None:
    migrations.migrate(database, [ONE])
    altered = Migration(1, "0001_one.sql", "create table one (a text)")
    with pytest.raises(MigrationRefused, match=r"0001_one\.sql was altered"):
        migrations.migrate(database, [altered, TWO])


def test_a_history_that_is_newer_than_the_files_is_refused_and_nothing_is_changed(
    database: Database, table: Table
) -> None:
    migrations.migrate(database, [ONE, TWO])
    before = table.run("select * from schema_migrations")
    with pytest.raises(MigrationRefused, match=r"newer than this code: it has 0002_two\.sql"):
        migrations.migrate(database, [ONE])
    assert table.run("select * from schema_migrations") == before


def test_a_failing_step_leaves_nothing_not_even_the_steps_before_it(
    database: Database, table: Table
) -> None:
    broken = Migration(2, "0002_two.sql", "create table two (a integer); select 1 / 0")
    with pytest.raises(Exception, match=r"division by zero|does not accept"):
        migrations.migrate(database, [ONE, broken])
    assert _tables(table) == set()
    assert migrations.migrate(database, [ONE, TWO]) == ["0001_one.sql", "0002_two.sql"]


def test_a_step_may_contain_percent_signs(database: Database, table: Table) -> None:
    step = Migration(1, "0001_one.sql", "create view one as select 'a%(b)s%' as a")
    migrations.migrate(database, [step])
    assert table.run("select a from one") == [{"a": "a%(b)s%"}]


def test_files_that_are_not_numbered_without_a_gap_are_refused(tmp_path: Path) -> None:
    for name in ("0001_one.sql", "0003_three.sql"):
        (tmp_path / name).write_text("select 1")
    with pytest.raises(MigrationRefused, match="not numbered"):
        migrations.load(tmp_path)


LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def limits(url: str) -> dict[str, str]:
    """Return the limits of a new session."""
    table = Table(url)
    try:
        return {name: table.run(f"show {name}")[0][name] for name in LIMITS}
    finally:
        table.close()


def as_role(url: str, role: str) -> str:
    parts = parse_dsn(url)
    return f"postgresql://{role}:secret@{parts['host']}:{parts['port']}/{parts['dbname']}"


@pytest.fixture
def role(table: Table) -> Iterator[str]:
    """An ordinary role that may create tables in the database and nothing else."""
    name = f"role_{uuid.uuid4().hex[:8]}"
    table.run(f"create role {name} login password 'secret' nosuperuser nocreaterole nocreatedb")
    table.run(f"grant create on schema public to {name}")
    yield name
    table.run(f"drop owned by {name}")
    table.run(f"drop role {name}")


def test_an_ordinary_role_is_limited_by_its_own_migration_and_no_other_is(
    empty_url: str, role: str
) -> None:
    url = as_role(empty_url, role)
    before = limits(empty_url)
    assert limits(url) == before
    whole = Runtime(Settings.model_validate({"database_url": url}), queue=FakeQueue())
    assert whole.migrate() == {"applied": [step.name for step in migrations.load()]}
    assert limits(url) == dict(zip(LIMITS, ("5s", "2s", "1min"), strict=True))
    assert limits(empty_url) == before
    assert whole.migrate() == {"applied": []}
    whole.database.close()


def test_the_limits_follow_the_settings_and_hold_in_this_database_only(
    database: Database, empty_url: str, postgres_url: str
) -> None:
    before = limits(postgres_url)
    for patience, invocation, expected in (
        (4, 60, ("5s", "2s", "1min")),
        (0.5, 900, ("1500ms", "250ms", "15min")),
    ):
        migrations.limit_role(database, patience=patience, invocation=invocation)
        assert limits(empty_url) == dict(zip(LIMITS, expected, strict=True))
    assert limits(postgres_url) == before


def test_a_role_that_was_put_on_after_the_login_is_left_as_it_is(
    empty_url: str, role: str, table: Table
) -> None:
    before = limits(as_role(empty_url, role))
    worn = Database(f"{empty_url}?options=-c%20role%3D{role}")
    migrations.limit_role(worn, patience=4, invocation=60)
    worn.close()
    assert limits(as_role(empty_url, role)) == before
    assert table.run("select from pg_db_role_setting where setrole = %s::regrole", [role]) == []


def test_a_step_may_take_longer_than_the_role_may(empty_url: str, table: Table) -> None:
    table.run("alter role current_user set statement_timeout = '100ms'")
    hurried = Database(empty_url)
    try:
        with pytest.raises(StoreUnavailable), hurried.transaction() as transaction:
            transaction.execute("select pg_sleep(0.3)")
        slow = Migration(1, "0001_slow.sql", "select pg_sleep(0.3)")
        assert migrations.migrate(hurried, [slow]) == ["0001_slow.sql"]
    finally:
        table.run("alter role current_user reset statement_timeout")
        hurried.close()
