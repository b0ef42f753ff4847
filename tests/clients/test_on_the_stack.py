"""The client and its command line against the running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from tasks_client import (
    Client,
    IllegalMove,
    InvalidRequest,
    KeyReused,
    NewTask,
    Progress,
    TaskChanged,
    TaskNotFound,
)
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

HOUR = 3600.0


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{stack.port}", timeout=20) as made:
        yield made


@pytest.fixture
def tag() -> str:
    return f"run:{uuid.uuid4().hex}"


def shell(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    """Run ``tasks``; return its exit status and what it wrote to stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "tasks_client", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "TASKS_URL": f"http://127.0.0.1:{stack.port}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_statistics_are_read(client: Client) -> None:
    client.create("Count me", wait=20)
    stats = client.stats(minutes=5)
    assert stats.counts["completed"] >= 1
    assert stats.count_limit > max(stats.counts.values())
    assert sum(minute.created for minute in stats.throughput) >= 1
    assert stats.timed >= 1
    assert stats.wait
    assert stats.run
    assert 0 <= stats.wait.p50 <= stats.wait.p99
    assert stats.queue  # the local stack has no keys, so everybody is an operator
    assert stats.queue.dead_letters is not None


def test_a_task_is_created_and_waited_for_in_one_request(client: Client) -> None:
    task = client.create("Say hello", kind="greet", payload={"name": "Ada"}, wait=20)
    assert task.succeeded
    assert task.result["greeting"] == "Hello, Ada!"
    assert task.etag == client.get(task.id).etag
    [attempt] = client.attempts(task.id)
    assert (attempt.attempt, attempt.error) == (1, None)


def test_a_key_makes_one_task_and_is_no_good_for_another(client: Client) -> None:
    key = f"key {uuid.uuid4()}"
    first = client.create("once", delay=HOUR, idempotency_key=key)
    assert client.create("once", delay=HOUR, idempotency_key=key).id == first.id
    with pytest.raises(KeyReused):
        client.create("another", idempotency_key=key)


def test_a_unique_key_finds_the_open_task(client: Client, tag: str) -> None:
    first = client.create("daily", delay=HOUR, unique_key=tag)
    again = client.create("daily", delay=HOUR, unique_key=tag)
    assert (again.id, again.existed, first.existed) == (first.id, True, False)


def test_more_than_a_request_can_take_are_created_listed_and_waited_for(
    client: Client, tag: str
) -> None:
    made = client.create_many(NewTask(title=f"task {n}", tags=[tag]) for n in range(1050))
    seen: list[Progress] = []
    done = client.wait_all(tag=tag, timeout=60, on_progress=seen.append)
    assert [task.id for task in done] == [task.id for task in made]
    assert [task.title for task in done] == [f"task {n}" for n in range(1050)]
    assert seen[-1] == Progress(total=1050, completed=1050, failed=0, cancelled=0)
    page = client.list(tag=tag, status="completed", limit=10)
    assert [task.id for task in page.items] == [task.id for task in made[:-11:-1]]
    assert page.next_cursor


def test_a_failed_task_is_told_and_can_be_retried(client: Client, tag: str) -> None:
    task = client.create("hopeless", kind="always_fails", tags=[tag])
    failed = client.wait(task.id, timeout=30)
    assert (failed.status, failed.is_final, failed.succeeded) == ("failed", True, False)
    assert failed.error
    assert (failed.error.code, failed.error.kind) == ("exception", "ValueError")
    assert len(client.attempts(task.id)) == 3
    assert client.retry_many(tag=tag).ids == (task.id,)
    assert client.get(task.id).attempt_limit == 6


def test_a_task_that_is_left_no_time_to_begin_begins_at_once(client: Client) -> None:
    task = client.create("later", delay=HOUR)
    client.update(task.id, run_at=None)
    assert client.wait(task.id, timeout=30).succeeded


def test_a_waiting_task_is_changed_cancelled_retried_and_deleted(client: Client) -> None:
    task = client.create("as it was", delay=HOUR, description="to go", tags=["too"])
    seen = client.get(task.id)
    changed = client.update(task.id, etag=seen.etag, title="as it is", description=None, tags=None)
    assert (changed.title, changed.description, changed.tags) == ("as it is", None, ())
    with pytest.raises(TaskChanged):
        client.update(task.id, etag=seen.etag, title="as it was")
    assert client.cancel(task.id).status == "cancelled"
    with pytest.raises(IllegalMove) as caught:
        client.cancel(task.id)
    assert caught.value.current == "cancelled"
    assert client.retry(task.id).status == "pending"
    assert client.wait(task.id, timeout=30).succeeded
    client.delete(task.id)
    with pytest.raises(TaskNotFound):
        client.get(task.id)


def test_a_broken_rule_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create_many([NewTask(title="good"), NewTask(title=" ")])
    assert [error["pointer"] for error in caught.value.errors] == ["#/tasks/1/title"]
    assert caught.value.request_id


def test_the_command_line_creates_waits_and_says_how_it_ended(stack: Stack, tag: str) -> None:
    status, out, _ = shell(stack, "create", "Say hello", "--tag", tag, "--wait", "20", "--json")
    created = json.loads(out)
    assert (status, created["status"], created["tags"]) == (0, "completed", [tag])
    assert shell(stack, "wait", "--tag", tag) == (0, "1 task: 1 completed\n", "")
    assert shell(stack, "create", "no", "--tag", tag, "--kind", "always_fails")[0] == 0
    status, out, err = shell(stack, "wait", "--tag", tag, "--timeout", "30")
    assert (status, err) == (1, "")
    assert out.splitlines()[0] == "2 tasks: 1 completed, 1 failed"
    assert shell(stack, "delete", str(created["id"])) == (0, "", "")
    status, out, err = shell(stack, "get", str(created["id"]))
    assert (status, out) == (3, "")
    assert err.startswith("tasks: ")
    assert err.count("\n") == 1
