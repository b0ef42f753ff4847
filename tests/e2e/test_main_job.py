"""The whole flow, over HTTP, PostgreSQL, SQS and the worker's processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.stack import Stack, eventually, exchange, free_port

pytestmark = pytest.mark.e2e

KEYS = ["id", "title", "description", "status", "created_at", "updated_at", "result"]


def create(stack: Stack, **task: Any) -> dict[str, Any]:
    status, created = stack.call("POST", "/tasks", task)
    assert status == 201, created
    return dict(created)


def finished(stack: Stack, task_id: int, seconds: float = 2) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        task = stack.task(task_id)
        return task if task["finished_at"] else None

    return dict(eventually(final, seconds))


def sqs(stack: Stack) -> Any:
    environ = stack.environ()
    return boto3.client(
        "sqs",
        endpoint_url=environ["AWS_ENDPOINT_URL_SQS"],
        region_name=environ["AWS_DEFAULT_REGION"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
    )


def depth(stack: Stack, queue: str) -> int:
    client = sqs(stack)
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    reply = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(count) for count in reply["Attributes"].values())


def test_a_posted_task_completes_within_two_seconds(stack: Stack) -> None:
    created = create(stack, title="Process User Data", description="Extract and transform")
    assert list(created)[:7] == KEYS
    assert (created["status"], created["updated_at"], created["result"]) == ("pending", None, None)
    task = finished(stack, created["id"])
    assert task["status"] == "completed"
    assert task["result"].startswith("Processed task 'Process User Data' at 20")
    assert task["result"].endswith(" with description: Extract and transform")


def test_a_thousand_tasks_of_sixteen_clients_all_complete(stack: Stack) -> None:
    def post(numbers: range) -> list[int]:
        connection = stack.connect()
        answers = [
            exchange(connection, "POST", "/tasks", {"title": f"task {number}"})
            for number in numbers
        ]
        connection.close()
        assert {status for status, _ in answers} == {201}
        return [task["id"] for _, task in answers]

    with ThreadPoolExecutor(16) as clients:
        shares = [range(start, 1000, 16) for start in range(16)]
        ids = {task_id for made in clients.map(post, shares) for task_id in made}
    assert len(ids) == 1000

    def all_completed() -> bool:
        statement = "select id from tasks where status = 'completed'"
        return ids <= set(map(int, stack.local("psql", "-Atc", statement).split()))

    eventually(all_completed, 60)


def test_a_task_that_always_fails_is_tried_three_times_and_dead_lettered(stack: Stack) -> None:
    letters = depth(stack, "interview-queue-dlq")
    task_id = create(stack, title="hopeless", kind="always_fails")["id"]
    task = finished(stack, task_id, 30)
    assert (task["status"], task["attempt"]) == ("failed", 3)
    assert task["result"] == "Error: this never works"
    assert task["error"] == {
        "code": "exception",
        "class": "ValueError",
        "message": "this never works",
    }
    eventually(lambda: depth(stack, "interview-queue-dlq") == letters + 1, 10)
    events = [line for line in stack.lines if f"task {task_id} " in line]
    assert sum("will be tried again" in line for line in events) == 2


def test_an_unreadable_message_is_dead_lettered_and_its_neighbours_complete(stack: Stack) -> None:
    letters = depth(stack, "interview-queue-dlq")
    client = sqs(stack)
    url = client.get_queue_url(QueueName="interview-queue")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="this is no task")
    ids = [create(stack, title=f"neighbour {number}")["id"] for number in range(5)]
    assert {finished(stack, task_id)["status"] for task_id in ids} == {"completed"}
    eventually(lambda: depth(stack, "interview-queue-dlq") == letters + 1, 10)


def test_bad_input_names_the_field_and_the_rule_and_stores_nothing(stack: Stack) -> None:
    before = stack.call("GET", "/tasks?limit=1")[1]
    status, problem = stack.call("POST", "/tasks", {"title": "x" * 256, "colour": "red"})
    assert status == 422
    assert {error["pointer"] for error in problem["errors"]} == {"#/title", "#/colour"}
    assert stack.call("GET", "/tasks?limit=1")[1] == before
    assert depth(stack, "interview-queue") == 0


def test_a_kept_alive_connection_is_answered_without_waiting_for_an_acknowledgement(
    stack: Stack,
) -> None:
    connection = stack.connect()
    times = []
    for _ in range(100):
        begun = time.monotonic()
        assert exchange(connection, "GET", "/healthz")[0] == 200
        times.append(time.monotonic() - begun)
    connection.close()
    # Waiting for one costs 40 ms every time, however fast the machine.
    assert statistics.median(times) < 0.03


def test_chalice_local_works_beside_the_stack(stack: Stack) -> None:
    port = free_port()
    server = subprocess.Popen(
        ["../.venv/bin/chalice", "local", "--no-autoreload", "--port", str(port)],
        cwd=stack.folder / "chalice_app",
        env={"PATH": "/usr/bin:/bin", **stack.environ()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        beside = Stack(Path())
        beside.port = port

        def answers() -> bool:
            try:
                return beside.call("GET", "/readyz")[0] == 200
            except OSError:
                return False

        eventually(answers, 20)
        task_id = create(beside, title="through chalice local")["id"]
        assert finished(stack, task_id)["status"] == "completed"
    finally:
        server.terminate()
        server.wait(10)


def test_every_event_of_a_tasks_life_is_a_readable_line(stack: Stack) -> None:
    task_id = create(stack, title="watched")["id"]
    finished(stack, task_id)

    def lines() -> list[str]:
        return [line for line in stack.lines if f"task {task_id} " in line]

    eventually(lambda: len(lines()) >= 3, 5)
    for word, line in zip(["created", "started", "completed"], lines(), strict=True):
        assert word in line
        assert not line.startswith("{")
        assert len(line) < 120


def test_the_running_stack_tells_how_to_reach_it(stack: Stack) -> None:
    attributes = stack.local("attributes")
    assert "interview-queue-dlq" in attributes
    assert "RedrivePolicy" in attributes
    assert json.loads(json.dumps(stack.environ()))["QUEUE_NAME"] == "interview-queue"
