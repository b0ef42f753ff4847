"""What the service's statements take on a PostgreSQL of this machine."""

from __future__ import annotations

import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib import migrations
from chalicelib.db import Database
from chalicelib.outcome import Completed
from chalicelib.queue import Message
from chalicelib.store.rows import Settlement
from chalicelib.sweeper.sweep import PURGE_CHUNK
from localdev.postgres import PostgreSQL
from tests.fakes import record
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.store import ClientStore, Store

#: Tasks in a statement, and how often it is run.
SIZES = {1: 1000, 10: 300, 100: 60}
STATEMENTS = ("create", "claim", "settle")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one statement with so many tasks took, in seconds, on average."""

    statement: str
    tasks: int
    core: float
    clock: float


def measure() -> list[Taken]:
    """Measure each statement, on a server as localdev starts it: it syncs to disk."""
    with tempfile.TemporaryDirectory(prefix="tasks-measure-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as nobody
        with PostgreSQL(folder) as server:
            server.create_database("measured")
            url = server.url("measured")
            with closing(Database(url)) as database:
                migrations.migrate(database)
            with closing(World(url)) as world:
                return list(_all(world, server.data))


def _all(world: World, data: Path) -> Iterator[Taken]:
    for size, rounds in SIZES.items():
        yield from _size(world, data, size, rounds)
    yield _purge(world, data)


def _size(world: World, data: Path, size: int, rounds: int) -> Iterator[Taken]:
    tokens = [str(uuid.uuid4()) for _ in range(rounds)]
    made: list[list[int]] = []
    acts: dict[str, Callable[[int], None]] = {
        "create": lambda _: made.append(_create(world.clients, size)),
        "claim": lambda number: _claim(world.store, made[number], tokens[number]),
        "settle": lambda number: _settle(world.store, made[number], tokens[number]),
    }
    for statement, act in acts.items():
        core, clock = _core_seconds(data), time.perf_counter()
        for number in range(rounds):
            act(number)
        clock, core = time.perf_counter() - clock, _core_seconds(data) - core
        yield Taken(statement, size, core / rounds, clock / rounds)


def _purge(world: World, data: Path) -> Taken:
    # A chunk as the sweeper takes it, of tasks that were finished long ago.
    world.table.run("update tasks set finished_at = now() - interval '1 year'")
    core, clock, chunks = _core_seconds(data), time.perf_counter(), 0
    while world.store.purge_tasks(limit=PURGE_CHUNK) == PURGE_CHUNK:
        chunks += 1
    clock, core = time.perf_counter() - clock, _core_seconds(data) - core
    return Taken("purge", PURGE_CHUNK, core / chunks, clock / chunks)


def _create(clients: ClientStore, size: int) -> list[int]:
    made = clients.insert_tasks([{"kind": "default", "title": "measured"}] * size)
    return [one.task.id for one in made]


def _claim(store: Store, ids: list[int], token: str) -> None:
    messages = [Message.from_record(record(f'{{"task_id": {one}}}', name=str(one))) for one in ids]
    standings = store.claim_tasks(messages, token=token, lease=600, request_id="measured")
    if not all(standing.claim for standing in standings):
        raise RuntimeError("not all were claimed")


def _settle(store: Store, ids: list[int], token: str) -> None:
    done = [Settlement(id=one, outcome=Completed('"done"'), unsent=False) for one in ids]
    if any(standing.fenced for standing in store.settle_attempts(done, token=token)):
        raise RuntimeError("not all were settled")


def _core_seconds(data: Path) -> float:
    """Return what the server's processes that run now have had of the machine's cores.

    Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
    """
    mother = (data / "postmaster.pid").read_text().split()[0]
    spent = 0
    for folder in Path("/proc").iterdir():
        try:
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if parent == mother:
                spent += int((folder / "schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue
    return spent / 1e9


def line(taken: list[Taken], statement: str) -> tuple[float, float]:
    """Return the seconds of a core that a statement takes once, and more for each task in it."""
    by_size = {one.tasks: one.core for one in taken if one.statement == statement}
    least, most = min(by_size), max(by_size)
    each = (by_size[most] - by_size[least]) / (most - least)
    return by_size[least] - each * least, each
