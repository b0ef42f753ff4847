"""The service as a contestant: its functions called as Lambda calls them."""

from __future__ import annotations

import importlib
import os
import time
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2

from bench import events
from chalicelib.db import Database

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long each statement took, by its name; filled where BENCH_STATEMENTS is set.
statements: dict[str, list[float]] = defaultdict(list)

_INSERT = """
insert into tasks (title, description, dispatch_after, tenant)
select 'Task ' || n, 'What every task says.', now() + interval '2 minutes', 'default'
  from generate_series(1, %s) as n returning id
"""
#: So wide that they hold nothing back: what is measured is what it costs to look.
_LIMITS = {"running": 100_000, "running_per_key": 100_000, "rate": 10_000, "burst": 100_000}


def begin(role: str) -> Callable[[str, int, int], Callable[[int], None]]:
    """Load the app; return what prepares the calls of a case."""
    if os.environ.get("BENCH_STATEMENTS"):
        _time_statements()
    front_door: Any = importlib.import_module("app")
    key = os.environ.get("BENCH_KEY", "")
    if role == "worker":
        return lambda _case, batch, calls: _working(front_door.work, batch, calls)
    api = front_door.app
    if key:
        limits = events.request("PUT", "/kinds/{kind}/limits", _LIMITS, key=key, kind="default")
        _expect(api(limits, events.Context()), 200)

    def prepare(case: str, batch: int, calls: int) -> Callable[[int], None]:  # noqa: ARG001
        event, status = _request(case, batch, key)
        return lambda _: _expect(api(event, events.Context()), status)

    return prepare


def _request(case: str, batch: int, key: str) -> tuple[dict[str, Any], int]:
    if case == "list":
        return events.request("GET", "/tasks", key=key), 200
    route = "/tasks" if batch == 1 else "/tasks/batch"
    return events.request("POST", route, events.body(batch), key=key), 201


def _working(work: Any, batch: int, calls: int) -> Callable[[int], None]:
    beside = psycopg2.connect(os.environ["BENCH_PREPARE_URL"])
    with closing(beside), beside, beside.cursor() as cursor:
        cursor.execute(_INSERT, [batch * calls])
        ids = [row[0] for row in cursor.fetchall()]
    made = [events.messages(ids[n * batch : (n + 1) * batch]) for n in range(calls)]

    def call(number: int) -> None:
        if work(made[number], events.Context()) != {"batchItemFailures": []}:
            raise RuntimeError("not all were completed")

    return call


def _expect(reply: dict[str, Any], status: int) -> None:
    if reply["statusCode"] != status:
        raise RuntimeError(f"{reply['statusCode']} instead of {status}: {reply['body']}")


def _time_statements() -> None:
    query = Database.query

    def timed(self: Database, name: str, /, **arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return query(self, name, **arguments)
        finally:
            statements[name].append(time.perf_counter() - begun)

    Database.query = timed  # type: ignore[method-assign]
