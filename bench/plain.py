"""The plain algorithm as a contestant: its API as a server would call it, its worker as Lambda."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extras import execute_values

from bench import events

if TYPE_CHECKING:
    from collections.abc import Callable

_INSERT = "INSERT INTO tasks (title, description, status) VALUES %s RETURNING id"


def begin(role: str) -> Callable[[str, int, int], Callable[[int], None]]:
    """Load what the role needs; return what prepares the calls of a case."""
    models: Any = importlib.import_module("bench.baseline_seed.models") if role == "api" else None
    if models:
        models.Base.metadata.create_all(models.engine)
        return _creating(importlib.import_module("bench.baseline_seed.api").app)
    work = importlib.import_module("bench.baseline_seed.worker").lambda_handler

    def prepare(_: str, batch: int, calls: int) -> Callable[[int], None]:
        made = [events.messages(_insert(batch)) for _ in range(calls)]
        return lambda number: _expect(work(made[number], events.Context())["statusCode"], 200)

    return prepare


def _creating(app: Any) -> Callable[[str, int, int], Callable[[int], None]]:
    loop = asyncio.new_event_loop()

    def prepare(_: str, batch: int, calls: int) -> Callable[[int], None]:  # noqa: ARG001
        body = json.dumps(events.task(1)).encode()

        def call(_: int) -> None:
            # It has no batches: a thousand tasks are a thousand requests.
            for _one in range(batch):
                _expect(loop.run_until_complete(_post(app, body)), 201)

        return call

    return prepare


async def _post(app: Any, body: bytes) -> int:
    # Source: ASGI, "HTTP & WebSocket ASGI Message Format".
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/tasks",
        "raw_path": b"/tasks",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def _insert(count: int) -> list[int]:
    with closing(psycopg2.connect(os.environ["BENCH_PREPARE_URL"])) as connection:
        rows = [(*events.task(number).values(), "pending") for number in range(count)]
        with connection, connection.cursor() as cursor:
            return [row[0] for row in execute_values(cursor, _INSERT, rows, fetch=True)]


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{found} instead of {wanted}")
