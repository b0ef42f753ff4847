"""A handler whose time is over, on the real database."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from tests.world import World, bad, returning

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Context
    from chalicelib.task import Task

LEFT = 0.4  # seconds that remain of the invocation
ENDLESS = 20.0


@pytest.fixture
def world(world_of: Callable[..., World]) -> World:
    return world_of(worker_timeout=2)


def endless(task: Task, context: Context) -> None:  # noqa: ARG001
    time.sleep(ENDLESS)


def test_it_is_interrupted_and_tried_again_and_its_neighbours_lose_nothing(world: World) -> None:
    before, number, after = world.task(), bad(world, endless), world.task()
    world.deliver(remaining=LEFT)
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["suspect"]) == ("retrying", 1, False)
    assert row["error"]["code"] == "timeout"
    assert row["error"]["class"] == "TimedOut"
    assert row["error"]["message"].startswith("The handler was interrupted after 0.")
    assert [entry["error"]["code"] for entry in row["attempts"]] == ["timeout"]
    assert world.table.row(before)["result"] == "did a title"
    assert world.table.row(after)["result"] == "did a title"
    [message] = world.queue.stored
    assert message.visible_at == pytest.approx(30, abs=1)


def test_the_task_fails_after_its_attempts_and_says_why(world: World) -> None:
    number = bad(world, endless)
    world.table.update(number, attempt_limit=1)
    world.deliver(remaining=LEFT)
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "timeout")
    assert row["result"] == f"Error: {row['error']['message']}"


def test_a_statement_of_the_handlers_own_is_left_and_the_attempt_is_settled(
    world: World, database_url: str
) -> None:
    mine = psycopg2.connect(database_url)

    def query(task: Task, context: Context) -> None:  # noqa: ARG001
        with mine.cursor() as cursor:
            cursor.execute("select pg_sleep(%s)", [ENDLESS])

    number = bad(world, query)
    begun = time.monotonic()
    with contextlib.closing(mine):
        world.deliver(remaining=LEFT)
        assert time.monotonic() - begun < ENDLESS / 2
        assert mine.closed  # in the midst of a reply it is of no more use
    assert world.table.row(number)["error"]["code"] == "timeout"


def test_a_heartbeat_that_waits_for_the_row_is_not_torn(world: World, database_url: str) -> None:
    blocker = psycopg2.connect(database_url)
    beats: list[str] = []

    def beat(task: Task, context: Context) -> None:
        with blocker.cursor() as cursor:
            cursor.execute("select from tasks where id = %s for update", [task.id])
            cursor.execute("set idle_in_transaction_session_timeout = '700ms'")
        context.heartbeat()  # the row is free when the server has ended the other's session
        beats.append("whole")
        time.sleep(ENDLESS)

    number = bad(world, beat)
    with contextlib.closing(blocker):
        world.deliver(remaining=LEFT)
    assert beats == ["whole"]
    assert world.table.row(number)["error"]["code"] == "timeout"
    assert world.query.names.count("renew_lease") == 1
    assert len(world.database._idle) == 1  # the connection that was used all along


def test_a_kind_is_not_begun_when_it_would_be_interrupted(world: World) -> None:
    world.worker._runner._duration["default"] = 1.0
    first, second = bad(world, returning(1)), world.task()
    world.deliver(remaining=1.2)  # more than it takes, but not by what settling needs
    assert world.table.status(first) == "completed"
    assert (world.table.status(second), world.table.row(second)["release_count"]) == ("retrying", 1)


def test_a_result_that_came_in_time_is_kept(world: World) -> None:
    def quick(task: Task, context: Context) -> Any:  # noqa: ARG001
        time.sleep(LEFT / 4)
        return "in time"

    number = bad(world, quick)
    world.deliver(remaining=LEFT)
    assert world.table.row(number)["result"] == "in time"
