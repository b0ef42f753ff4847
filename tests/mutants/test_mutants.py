"""Broken statements are noticed: each by the test that is there for it."""

from __future__ import annotations

import contextlib
import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.db import database
from chalicelib.db.statements import SQL, named_statements
from chalicelib.errors import StoreUnavailable
from tests.mutants.access import ACCESS, CLIENTS, FOREIGN, SCOPELESS, TENANTLESS, UNPROVED
from tests.mutants.kinds import KINDS
from tests.mutants.mutants import MUTANTS as PROTOCOL
from tests.mutants.mutants import Mutant
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mutants

MUTANTS = PROTOCOL | ACCESS | KINDS


MIGRATIONS = sorted((SQL / "migrations").glob("*.sql"))


def functions() -> dict[str, str]:
    """Return the functions of the schema by name, each as the statement that replaces it."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in MIGRATIONS)
    found = re.findall(
        r"^create (function (\w+)\(.*?;)\n\ncomment on function \2", text, re.MULTILINE | re.DOTALL
    )
    return {name: f"create or replace {body}" for body, name in found}


def breaks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    """Let every database that is opened from now on run the mutant."""
    if mutant.statement in functions():
        breaks_function(request, mutant)
        return
    statements = named_statements()
    whole = statements[mutant.statement]
    assert mutant.old in whole.sql, f"{mutant.statement} no longer says: {mutant.old}"
    broken = replace(whole, sql=whole.sql.replace(mutant.old, mutant.new))
    mutated = statements | {mutant.statement: broken}
    monkeypatch.setattr(database, "named_statements", lambda: mutated)


def breaks_function(request: pytest.FixtureRequest, mutant: Mutant) -> None:
    """Replace a function in the database that the tests of this file share, and put it back."""
    whole = functions()[mutant.statement]
    assert mutant.old in whole, f"{mutant.statement} no longer says: {mutant.old}"
    url = request.getfixturevalue("database_url")

    def replace_by(body: str) -> None:
        table = Table(url)
        table.run(body)
        table.close()

    replace_by(whole.replace(mutant.old, mutant.new))
    request.addfinalizer(lambda: replace_by(whole))


def fixtures_for(request: pytest.FixtureRequest, test: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(test).parameters.values()
    wanted = [one.name for one in parameters if one.default is inspect.Parameter.empty]
    return {name: request.getfixturevalue(name) for name in wanted}


@contextlib.contextmanager
def nonsense_is_no_mutant() -> Any:
    """Let errors pass that say that PostgreSQL does not understand the statement at all."""
    try:
        yield
    except psycopg2.ProgrammingError:
        raise
    except StoreUnavailable as error:
        if str(error.context.get("sqlstate") or "").startswith("42"):
            raise
    except (Exception, pytest.fail.Exception):  # noqa: BLE001  (a test fails in many ways)
        return
    else:
        pytest.fail("The mutant lives.")


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_is_noticed(
    mutant: Mutant, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(request, monkeypatch, mutant)
    given = fixtures_for(request, mutant.killer)
    with nonsense_is_no_mutant():
        mutant.killer(**given)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_what_notices_a_mutant_has_nothing_against_the_true_statements(
    mutant: Mutant, request: pytest.FixtureRequest
) -> None:
    mutant.killer(**fixtures_for(request, mutant.killer))


def test_what_notices_a_mutant_names_all_its_fixtures() -> None:
    """Others would be left out here, and whatever then fails be taken for notice."""
    tests = {getattr(one.killer, "func", one.killer) for one in MUTANTS.values()}
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", [])]
    assert [mark for mark in marks if mark.name == "usefixtures"] == []


def test_no_mutant_is_listed_twice() -> None:
    changes = {(one.statement, one.old, one.new) for one in MUTANTS.values()}
    assert len(changes) == len(MUTANTS)


def test_every_statement_of_clients_is_broken_in_its_tenant_its_refusal_and_its_scope() -> None:
    keyed = {
        name
        for name, one in named_statements().items()
        if re.search(r"\b(admit|create_tasks)\(", one.sql)
    }
    assert keyed == CLIENTS.keys()
    rules = {FOREIGN, UNPROVED, SCOPELESS}
    for name in (keyed - {"insert_tasks"}) | {"create_tasks"}:
        kept = rules - {FOREIGN} if name in TENANTLESS else rules
        assert {one.why for one in ACCESS.values() if one.statement == name} >= kept, name


def test_every_function_of_the_schema_can_be_broken() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in MIGRATIONS)
    assert functions().keys() == set(re.findall(r"^create function (\w+)", text, re.MULTILINE))
