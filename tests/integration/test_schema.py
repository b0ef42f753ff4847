"""The schema refuses impossible rows, and every statement fits it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

import chalicelib
from chalicelib.db import named_statements
from chalicelib.task import Status

if TYPE_CHECKING:
    from tests.world import World

STATEMENTS = named_statements()

#: By constraint: a status whose usual row is possible, and the columns that make it impossible.
IMPOSSIBLE: dict[str, tuple[str, dict[str, Any]]] = {
    "status_is_known": ("pending", {"status": "succeeded"}),
    "title_is_not_empty": ("pending", {"title": ""}),
    "attempts_within_limit": ("completed", {"attempt": 4, "attempt_limit": 3}),
    "lease_exactly_while_processing": ("retrying", {"lease_until": "2030-01-01"}),
    "processing_is_held_by_an_attempt": ("processing", {"lease_token": None}),
    "retrying_was_tried": ("retrying", {"attempt": 0}),
    "finished_exactly_when_final": ("completed", {"finished_at": None}),
    "completed_was_tried": ("completed", {"attempt": 0}),
    "failed_says_why": ("failed", {"error": {"message": "no code"}}),
    "completed_and_pending_have_no_error": ("completed", {"error": {"code": "exception"}}),
    "cancelled_was_asked_for": ("cancelled", {"cancel_requested_at": None}),
    "result_only_when_finished": ("retrying", {"result": '"early"'}),
    "unique_scope_is_known": ("pending", {"unique_key": "u", "unique_scope": "always"}),
    "unique_key_has_a_scope": ("pending", {"unique_key": "u"}),
    "priority_is_known": ("pending", {"priority": "urgent"}),
    "held_is_known": ("pending", {"held": "stopped"}),
    "touched_unless_new": ("processing", {"updated_at": None}),
}

#: More rows that the same constraints must refuse.
ALSO_IMPOSSIBLE = [
    ("attempts_within_limit", "pending", {"attempt": -1}),
    ("lease_exactly_while_processing", "processing", {"lease_until": None}),
    ("processing_is_held_by_an_attempt", "processing", {"attempt": 0}),
    ("processing_is_held_by_an_attempt", "processing", {"started_at": None}),
    ("finished_exactly_when_final", "retrying", {"finished_at": "2026-01-01"}),
    ("failed_says_why", "failed", {"error": None}),
    ("completed_and_pending_have_no_error", "pending", {"error": {"code": "exception"}}),
    ("unique_key_has_a_scope", "pending", {"unique_scope": "open"}),
    ("result_only_when_finished", "cancelled", {"result": '"early"'}),
]


@pytest.mark.parametrize("status", list(Status))
def test_the_usual_row_of_every_status_is_accepted(world: World, status: Status) -> None:
    assert world.table.status(world.table.arrange(status)) == status


def test_every_constraint_has_an_impossible_row_that_tries_it(world: World) -> None:
    rows = world.table.run(
        "select conname from pg_constraint where conrelid = 'tasks'::regclass and contype = 'c'"
    )
    assert {row["conname"] for row in rows} == set(IMPOSSIBLE)


@pytest.mark.parametrize(
    ("constraint", "status", "columns"),
    [*((name, *case) for name, case in IMPOSSIBLE.items()), *ALSO_IMPOSSIBLE],
)
def test_an_impossible_row_is_refused_by_its_constraint(
    world: World, constraint: str, status: str, columns: dict[str, Any]
) -> None:
    with pytest.raises(psycopg2.IntegrityError) as caught:
        world.table.arrange(status, **columns)
    assert caught.value.diag.constraint_name == constraint


def test_the_statuses_of_the_code_are_those_of_the_schema(world: World) -> None:
    [row] = world.table.run(
        "select pg_get_constraintdef(oid) as definition from pg_constraint"
        " where conname = 'status_is_known'"
    )
    assert set(re.findall(r"'(\w+)'", row["definition"])) == set(Status)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_can_be_planned(world: World, name: str) -> None:
    sql = STATEMENTS[name].sql
    with world.table.connection.cursor() as cursor:
        if sql.startswith("create table"):  # not a statement that has a plan
            cursor.execute(sql)
            return
        arguments = dict.fromkeys(re.findall(r"%\((\w+)\)s", sql))
        cursor.execute(f"explain {sql}", arguments)
        assert cursor.fetchall()


def test_every_statement_is_used_by_the_code() -> None:
    folder = Path(chalicelib.__file__).parent
    rooms = (
        *(folder / "store").glob("*.py"),
        *(folder / "handlers").glob("*.py"),
        folder / "migrations.py",
    )
    code = "".join(room.read_text() for room in rooms)
    assert {name for name in STATEMENTS if f'"{name}"' not in code} == set()
    assert len(STATEMENTS) == (folder / "sql/queries.sql").read_text().count("-- name: ") - 1


def test_only_what_would_be_told_wrongly_or_done_twice_may_not_be_repeated() -> None:
    once = {name for name, statement in STATEMENTS.items() if statement.once}
    inserts = {name for name, one in STATEMENTS.items() if "\ninsert into" in f"\n{one.sql}"}
    # These are never run by themselves, but in a transaction: the migrator's, an attempt's.
    told = {
        "insert_tasks",
        "add_follow_ups",
        "update_task",
        "retry_task",
        "retry_tasks",
        "delete_task",
        "insert_schedule",
        "update_schedule",
        "delete_schedule",
    }
    assert once == inserts - {"record_migration"} | told


def test_a_creation_may_be_repeated_under_an_idempotency_key() -> None:
    assert STATEMENTS["insert_tasks"].may_be_repeated({"key": "a key"})
    assert not STATEMENTS["insert_tasks"].may_be_repeated({"key": None})
