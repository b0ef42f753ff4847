"""The worker on a real database and a real queue."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import RetryLater
from chalicelib.queue import Letter, TaskQueue
from chalicelib.runtime import Runtime
from chalicelib.schemas import NewTask
from chalicelib.settings import Settings
from tests.world import Table, raising

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World


@pytest.fixture
def real_world(
    world_of: Callable[..., World], sqs: Any, queue_name: str
) -> tuple[World, Callable[[], list[dict[str, Any]]]]:
    """The service on a real SQS queue, and what receives from it as Lambda's mapping does."""
    world = world_of(TaskQueue(lambda: sqs, queue_name, f"{queue_name}-dlq"))
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]

    def deliver() -> list[dict[str, Any]]:
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
        records = [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one["Attributes"],
            }
            for one in reply.get("Messages", [])
        ]
        kept = world.work(records)
        for one in records:
            if one["messageId"] not in kept:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=one["receiptHandle"])
        return records

    return world, deliver


def test_on_real_sqs_a_batch_is_worked_and_gone(real_world: Any) -> None:
    world, deliver = real_world
    ids = [world.table.arrange("pending") for _ in range(3)]
    world.queue.send(
        [Letter(tenant="acme", id=number, title="a title", description=None) for number in ids]
    )
    deliver()
    assert {world.table.status(number) for number in ids} == {"completed"}
    assert world.queue.depth() == 0


def test_on_real_sqs_a_failing_task_ends_as_one_dead_letter(
    real_world: Any, sqs: Any, queue_name: str
) -> None:
    world, deliver = real_world
    world.registry.handler("bad")(raising(RetryLater("no luck", seconds=0)))
    number = world.table.arrange("pending", kind="bad")
    world.queue.send([Letter(tenant="acme", id=number, title="a title", description=None)])
    for _ in range(4):
        deliver()
    assert world.table.row(number)["result"] == "Error: no luck"
    dead = sqs.get_queue_url(QueueName=f"{queue_name}-dlq")["QueueUrl"]
    [letter] = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(letter["Body"])["task_id"] == number
    assert world.queue.depth() == 0


@pytest.fixture
def whole(
    database_url: str, sqs_endpoint: str, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    """The service as it builds itself from the environment, its queue included."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    environ = {"DATABASE_URL": database_url, "QUEUE_NAME": queue_name, "AUTH": "off"}
    whole = Runtime(Settings.from_env(environ | {"PARTIAL_BATCH": "report"}))
    yield whole
    whole.queue._client().close()
    whole.database.close()


def test_the_service_reaches_the_queue_that_the_environment_names(whole: Runtime, sqs: Any) -> None:
    created = whole.serve(None).create(NewTask(title="a title")).task
    url = sqs.get_queue_url(QueueName=whole.settings.queue_name)["QueueUrl"]
    [sent] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(sent["Body"])["task_id"] == created.id


def test_a_client_waits_only_seconds_for_a_queue_that_is_down(
    whole: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    began = time.monotonic()
    created = whole.serve(None).create(NewTask(title="a title")).task
    assert time.monotonic() - began < 5
    table = Table(whole.settings.database_url)
    assert table.unsent() == {created.id}
    table.close()
