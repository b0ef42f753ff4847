"""What localdev.testing tells of handlers, held against the real database and the real worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.errors import GiveUp, RetryLater, Snooze
from chalicelib.registry import Registry
from chalicelib.schemas import NewTask
from localdev.testing import drain, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from localdev.testing import Ran
    from tests.world import World


@pytest.fixture
def ledger(world: World) -> Iterator[World]:
    """A world with a table of a handler's own."""
    world.table.run("create table ledger (entry text unique deferrable initially deferred)")
    yield world
    world.table.run("drop table ledger")


def entries(world: World) -> list[str]:
    return [row["entry"] for row in world.table.run("select entry from ledger order by entry")]


def enter(ledger: World, *, swallow: bool = False, give_up: bool = False) -> Ran:
    """Run a handler that enters ``a``, on the database of ``ledger``."""
    registry = Registry()

    @registry.handler("enter")
    def _enter(task: Task, context: Context) -> list[Any]:  # noqa: ARG001
        transaction = context.transaction()
        if swallow:
            with pytest.raises(psycopg2.Error):
                transaction.execute("select no_such_column")
        else:
            transaction.execute("insert into ledger values (%(entry)s)", entry="a")
        if give_up:
            raise GiveUp
        return context.query("list_keys", tenant=None)

    return run("enter", registry=registry, database=ledger.settings.database_url)


def test_what_a_transaction_did_is_committed_if_the_handler_returns(ledger: World) -> None:
    ran = enter(ledger)
    assert (ran.result, entries(ledger)) == ([], ["a"])
    assert ran.statements == [("insert into ledger values (%(entry)s)", {"entry": "a"})]


def test_what_a_transaction_did_is_undone_if_the_handler_raises(ledger: World) -> None:
    assert (enter(ledger, give_up=True).status, entries(ledger)) == ("failed", [])


def test_a_commit_that_fails_fails_the_attempt(ledger: World) -> None:
    enter(ledger)
    ran = enter(ledger)
    assert (ran.status, entries(ledger)) == ("retrying", ["a"])
    assert ran.raised is not None
    assert isinstance(ran.raised.__cause__, psycopg2.errors.UniqueViolation)


def test_an_error_of_the_database_that_was_swallowed_fails_the_attempt(ledger: World) -> None:
    ran = enter(ledger, swallow=True)
    assert (ran.status, entries(ledger)) == ("retrying", [])


def test_the_service_makes_the_same_attempts_of_the_same_handlers(world: World) -> None:
    seen: list[tuple[Any, ...]] = []

    @world.registry.handler("chain", attempts=2)
    def chain(task: Task, context: Context) -> int:
        seen.append((task.title, context.attempt, task.attempt, task.attempt_limit, task.payload))
        context.step("first", lambda: context.attempt)
        if task.title == "hopeless":
            raise RetryLater(seconds=0)
        if task.release_count < 2:
            raise Snooze(0)
        if context.attempt == 1:
            raise RetryLater(seconds=0)
        context.enqueue("hopeless", kind="chain", payload={"of": task.title})
        return context.step("first", lambda: 7)

    drained = drain("chain", {"a": 1}, registry=world.registry, task={"title": "first"})
    in_memory = seen.copy()
    seen.clear()
    number = world.service.create(NewTask(title="first", kind="chain", payload={"a": 1})).task.id
    for _ in in_memory:
        world.sweep()  # what was put off has no message
        world.deliver()
    assert seen == in_memory
    assert [one.task.title for one in drained].count("hopeless") == 2
    rows = world.table.run("select id, title, status, result from tasks order by id")
    last = {one.task.title: (str(one.status), one.outcome) for one in drained}
    assert {row["title"]: row["status"] for row in rows} == {
        title: status for title, (status, _) in last.items()
    }
    assert world.table.row(number)["result"] == 1
