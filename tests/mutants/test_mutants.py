"""Broken statements are noticed: each by the test that is there for it."""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.db import database
from chalicelib.db.statements import named_statements
from chalicelib.errors import StoreUnavailable
from tests.mutants.mutants import MUTANTS, Mutant

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mutants


def breaks(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    """Let every database that is opened from now on run the mutant."""
    statements = named_statements()
    whole = statements[mutant.statement]
    assert mutant.old in whole.sql, f"{mutant.statement} no longer says: {mutant.old}"
    broken = replace(whole, sql=whole.sql.replace(mutant.old, mutant.new))
    mutated = statements | {mutant.statement: broken}
    monkeypatch.setattr(database, "named_statements", lambda: mutated)


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
    breaks(monkeypatch, mutant)
    given = fixtures_for(request, mutant.killer)
    with nonsense_is_no_mutant():
        mutant.killer(**given)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_what_notices_a_mutant_has_nothing_against_the_true_statements(
    mutant: Mutant, request: pytest.FixtureRequest
) -> None:
    mutant.killer(**fixtures_for(request, mutant.killer))


def test_no_mutant_is_listed_twice() -> None:
    changes = {(one.statement, one.old, one.new) for one in MUTANTS.values()}
    assert len(changes) == len(MUTANTS)
