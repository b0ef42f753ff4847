"""Both services end to end, one worker each: from the first POST to the last task's end."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg2

from bench import floor, services
from bench.budgets import FLOOR, OURS
from bench.clients import Posted, ask, post
from bench.services import Service
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.stage import Stage

ROUNDS = 3
#: Seconds for the last task to end.
_END = 120
_COMPLETED = "select count(*) from tasks where id > %s and status = 'completed'"
_BEGUN = """
select percentile_cont(array[0.5, 0.99]) within group (
           order by extract(epoch from started_at - created_at)::float8)
  from tasks where id > %s
"""


@dataclass(frozen=True)
class Load:
    """So many clients that post so often between them, ``together`` tasks in a POST."""

    clients: int
    posts: int
    together: int = 1

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return "one by one" if self.together == 1 else "by the hundred"

    @property
    def title(self) -> str:
        """What it is called by itself."""
        return f"{self.name}, {self.clients} client{'s' if self.clients > 1 else ''}"


#: The plain service takes no batches: a POST of a hundred is for it a hundred POSTs of one.
LOADS = (
    *(Load(clients, 300) for clients in (1, 16, 64)),
    *(Load(clients, posts, 100) for clients, posts in ((1, 10), (16, 32), (64, 64))),
)
SMOKE_LOADS = (Load(1, 5), Load(2, 10), Load(1, 1, 100))


@dataclass(frozen=True)
class Run:
    """A load and what came of it: tasks completed in so many seconds since the first POST.

    ``begun`` has the p50 and p99 of the seconds from a task's creation to its claim, where the
    table tells.
    """

    service: str
    load: Load
    posted: Posted
    tasks: int
    seconds: float
    begun: tuple[float, ...] = ()


def measured(
    stage: Stage, loads: Sequence[Load], rounds: int, say: Callable[[str], None]
) -> list[Run]:
    """Return the runs of both services, which take turns. Raises StackError if tasks do not end.

    The plain one is started anew each time: it may not come back from a stall. Beside one client
    stand the bare calls, which need no service: they are made by the client itself.
    """
    runs = []
    with services.ours(stage) as ours:
        for turn in range(rounds):
            for load in loads:
                say(f"{load.title}: round {turn + 1} of {rounds} …")
                stage.rest()
                runs.append(_warm_run(ours, load))
                if load.together == 1:
                    with services.plain(stage) as plain:
                        runs.append(_warm_run(plain, load))
                if load.clients == 1:
                    runs.append(_floor_run(stage, load))
    return runs


def _warm_run(service: Service, load: Load) -> Run:
    _run(service, Load(1, 10))  # opens connections, fills caches
    return _run(service, load)


def _floor_run(stage: Stage, load: Load) -> Run:
    with services.floor(stage) as home:
        url = home.environ["DATABASE_URL"]
        creating = floor.Creating(floor.connected(url), home.environ)
        service, warm = Service(FLOOR, "", url), Load(1, 10)
        _run(service, warm, _bare(creating, warm))
        return _run(service, load, _bare(creating, load))


def _bare(creating: floor.Creating, load: Load) -> Callable[[], Posted]:
    call = creating.prepare("create", load.together, 1)

    def once() -> int:
        call(0)
        return int(HTTPStatus.CREATED)

    return lambda: ask(lambda: contextlib.nullcontext(once), load.clients, load.posts)


def _run(service: Service, load: Load, asked: Callable[[], Posted] | None = None) -> Run:
    with contextlib.closing(psycopg2.connect(service.database)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select coalesce(max(id), 0) from tasks")
            [[before]] = cursor.fetchall()
            begun = time.perf_counter()
            address = urlsplit(service.url).netloc
            posted = asked() if asked else post(address, load.clients, load.posts, load.together)
            tasks = posted.created * load.together
            _wait(cursor, before, tasks)
            seconds = time.perf_counter() - begun
            if service.name != OURS:
                return Run(service.name, load, posted, tasks, seconds)
            cursor.execute(_BEGUN, [before])
            [[waits]] = cursor.fetchall()
            return Run(service.name, load, posted, tasks, seconds, tuple(waits))


def _wait(cursor: Any, before: int, tasks: int) -> None:
    deadline = time.monotonic() + _END
    while True:
        cursor.execute(_COMPLETED, [before])
        [[ended]] = cursor.fetchall()
        if ended >= tasks:
            return
        if time.monotonic() > deadline:
            raise StackError(f"of {tasks} tasks {ended} were completed in {_END} s")
        time.sleep(0.02)
