"""Clocks that jump: the app's does not matter, the database's costs time and nothing else."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import chalicelib
from tests.faults.conserved import all_completed

if TYPE_CHECKING:
    from tests.faults.scene import Scene


@pytest.fixture
def url(own_url: str) -> str:
    """Each test has a database of its own: they change its schema or its settings."""
    return own_url


HOURS = 3600
LIBRARY = Path(str(chalicelib.__file__)).parent
WALL_CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}
#: The sample handler tells the time in its result; operators are told how far two clocks differ;
#: a webhook tells its receiver when it was sent.
READERS = {"handlers/default.py", "handlers/webhook_deliver.py", "service/diagnosis.py"}


def _reads_a_clock(path: Path) -> bool:
    calls = (
        node.func
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    return any(
        call.attr in WALL_CLOCKS
        and isinstance(call.value, ast.Name)
        and call.value.id in {"time", "datetime", "date"}
        for call in calls
    )


def test_no_clock_of_the_app_is_compared_or_stored() -> None:
    readers = {
        str(path.relative_to(LIBRARY)) for path in LIBRARY.rglob("*.py") if _reads_a_clock(path)
    }
    assert readers == READERS


@pytest.mark.parametrize("jump", [3 * HOURS, -3 * HOURS])
def test_a_clock_of_the_app_that_jumps_changes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """Python's clock is moved, in mid-work; the database's stays."""
    real = time.time

    @scene.registry.handler("jumps")
    def jumps(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        return {"attempt": task.attempts_spent}

    monkeypatch.setattr(time, "time", lambda: real() - jump)
    ids = [scene.posted(), scene.posted(kind="jumps"), scene.posted(delay_seconds=60)]
    scene.deliver()
    scene.sweep()
    [now] = scene.table.run("select now() as now")
    for row in scene.table.run("select * from tasks"):
        for column in ("created_at", "started_at", "finished_at", "run_at"):
            assert row[column] is None or abs((row[column] - now["now"]).total_seconds()) < 120
    assert [scene.table.status(number) for number in ids] == ["completed", "completed", "pending"]
    all_completed(scene, *ids)


#: A clock of our own in front of PostgreSQL's: statements that say now() ask it.
STEPPED = """
create schema clock;
create table clock.steps (seconds integer not null);
insert into clock.steps values (0);
create function clock.now() returns timestamptz language sql stable as
    'select pg_catalog.now() + make_interval(secs => seconds) from clock.steps';
"""


@pytest.fixture
def stepped(scene: Scene) -> Scene:
    """A scene in whose database the clock can be moved."""
    scene.table.run(STEPPED)
    name = scene.url.rsplit("/", 1)[1]
    scene.table.run(f"alter database {name} set search_path = clock, public, pg_catalog")
    scene.end_sessions()
    return scene


def step(scene: Scene, seconds: int) -> None:
    scene.table.run("update clock.steps set seconds = seconds + %s", [seconds])


@pytest.mark.parametrize("jump", [3 * HOURS, -3 * HOURS])
def test_a_clock_of_the_database_that_steps_while_a_task_runs_harms_no_result(
    stepped: Scene, jump: int
) -> None:
    """Forward, the lease is over early and somebody else takes it; back, nobody does."""
    scene = stepped
    seen: list[int] = []

    @scene.registry.handler("overtaken")
    def overtaken(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        if not seen:
            step(scene, jump)
            seen.append(scene.sweep()["rescued"])
        return {"attempt": task.attempts_spent}

    number = scene.posted(kind="overtaken")
    scene.deliver()
    assert seen == [1 if jump > 0 else 0]
    assert scene.table.status(number) == ("retrying" if jump > 0 else "completed")
    all_completed(scene, number)
    assert scene.table.row(number)["attempt"] == (2 if jump > 0 else 1)


def test_a_clock_of_the_database_that_is_set_back_delays_tasks_and_loses_none(
    stepped: Scene,
) -> None:
    scene = stepped
    number = scene.posted()
    step(scene, -3 * HOURS)
    scene.deliver()
    scene.sweep()
    assert scene.table.status(number) == "pending"
    step(scene, 3 * HOURS)
    later = scene.posted()
    all_completed(scene, number, later)
