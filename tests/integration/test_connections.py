"""How many connections one process opens: in Lambda, where it does one thing at a time, one."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest
from chalice.test import Client

import app as front_door
from chalicelib import runtime
from chalicelib.db.connection import connect
from chalicelib.registry import Registry
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.fakes import FakeQueue
from tests.integration.api import PROJECT, Api
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.registry import Context
    from chalicelib.task import Task

CONTEXT = types.SimpleNamespace(aws_request_id="one", get_remaining_time_in_millis=lambda: 50_000)


def _busy(task: Task, context: Context) -> str:
    context.heartbeat()
    if task.title == "fails":
        raise ValueError(task.title)
    return "done"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every connection that the service opens while the test runs."""
    connections: list[Any] = []

    def counting(*arguments: Any) -> Any:
        connections.append(connect(*arguments))
        return connections[-1]

    monkeypatch.setattr("chalicelib.db.database.connect", counting)
    return connections


@pytest.fixture
def process(database_url: str, opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A whole service with its usual settings, but for the queue and the handler."""
    assert opened == []
    registry, queue = Registry(), FakeQueue()
    registry.handler("default")(_busy)
    settings = Settings(database_url=database_url, auth="off", partial_batch="report")
    whole = Runtime(settings, queue=queue, registry=registry)
    monkeypatch.setattr(runtime, "current", lambda: whole)
    table = Table(database_url)
    yield Api(whole, Client(front_door.app, project_dir=str(PROJECT)), table, queue)
    whole.database.close()
    table.close()


def test_requests_batches_and_sweeps_of_one_process_share_one_connection(
    process: Api, opened: list[Any]
) -> None:
    assert process.runtime.settings.database_connections == 16
    made = process.post({"title": "waits"}, Prefer="wait=1").json_body["id"]
    for number in range(8):
        process.post({"title": "fails" if number % 2 else "works"})
    process.get("/tasks?status=pending&wait=1")
    process.get(f"/tasks/{made}", Prefer="wait=1")
    kept = process.runtime.work({"Records": process.queue.receive()}, CONTEXT)
    assert len(kept["batchItemFailures"]) == 4
    process.runtime.sweep({"detail": {"queue_lost": True}}, CONTEXT)
    process.call("POST", f"/tasks/{made}/cancel")
    process.runtime.readiness()
    assert len(opened) == 1


def test_a_connection_that_is_lost_is_replaced_and_not_joined(
    process: Api, opened: list[Any]
) -> None:
    process.runtime.readiness()
    process.table.run("select pg_terminate_backend(%s)", [opened[0].info.backend_pid])
    process.runtime.readiness()  # may be repeated, unlike the insert of a task
    process.post({"title": "after the loss"})
    process.runtime.work({"Records": process.queue.receive()}, CONTEXT)
    assert [one.closed != 0 for one in opened] == [True, False]
