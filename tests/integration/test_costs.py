"""What a task and a tick take is what docs/costs.md counts: SQS's requests, log lines, storage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.logs import JsonLines
from chalicelib.queue import TaskQueue
from chalicelib.schemas import NewBatch, NewTask
from tests.costs import PAGE, Bill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes import Heard
    from tests.world import World

BILL = Bill(PAGE.read_text(encoding="utf-8"))
ALONE, TEN, HUNDRED = (BILL.task[way] for way in BILL.ways)


@pytest.fixture
def asked(sqs: Any) -> Iterator[Counter[str]]:
    """What SQS was asked for, by operation; a queue's address is asked for once a process."""
    counted: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        if model.name != "GetQueueUrl":
            counted[model.name] += 1

    sqs.meta.events.register("before-call.sqs", count)
    yield counted
    sqs.meta.events.unregister("before-call.sqs", count)


@pytest.fixture
def on_sqs(world_of: Callable[..., World], sqs: Any, queue_name: str) -> World:
    return world_of(TaskQueue(lambda: sqs, queue_name, f"{queue_name}-dlq"))


def records(sqs: Any, queue_name: str) -> list[dict[str, Any]]:
    """Receive, as Lambda's mapping does, what it calls the function with."""
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return [
        {
            "messageId": one["MessageId"],
            "receiptHandle": one["ReceiptHandle"],
            "body": one["Body"],
            "attributes": one["Attributes"],
        }
        for one in reply["Messages"]
    ]


def size(heard: Heard) -> tuple[int, int]:
    """Return how many lines were written, and their bytes."""
    lines = [JsonLines().format(record) for record in heard.records]
    return len(lines), sum(map(len, lines))


def test_a_task_by_itself_is_one_request_to_sqs(on_sqs: World, asked: Counter[str]) -> None:
    on_sqs.service.create(NewTask(title="x"), key=None, wait=0)
    assert asked == {"SendMessageBatch": ALONE["SQS: requests by the API"]}


def test_a_hundred_tasks_are_ten_requests_to_sqs(on_sqs: World, asked: Counter[str]) -> None:
    on_sqs.service.create_many(hundred(), key=None)
    assert asked == {"SendMessageBatch": 100 * HUNDRED["SQS: requests by the API"]}


def test_a_batch_that_completes_asks_nothing_of_sqs(
    on_sqs: World, sqs: Any, queue_name: str, asked: Counter[str]
) -> None:
    on_sqs.service.create_many(hundred(), key=None)
    batch = records(sqs, queue_name)
    assert len(batch) == 1 / TEN["invocations of the worker"]
    asked.clear()
    assert on_sqs.work(batch) == set()
    assert asked == {}


def test_an_idle_tick_asks_sqs_once_and_writes_one_line(
    on_sqs: World, asked: Counter[str], heard: Heard
) -> None:
    on_sqs.sweep()
    assert asked.total() == BILL.month["SQS requests of a tick"]
    assert size(heard) == (1, BILL.month["bytes of log by the sweeper, a tick"])


def test_a_task_writes_as_many_lines_and_bytes_as_are_paid_for(world: World, heard: Heard) -> None:
    world.table.run("alter table tasks alter id restart with 100000001")
    world.service.create(NewTask(title="x"), key=None, wait=0)
    world.deliver()
    lines, size_of_them = size(heard)
    for way in (ALONE, TEN, HUNDRED):
        assert lines == way["lines of log by the service"]
        assert size_of_them == way["bytes of log by the service"]


def test_a_finished_task_takes_as_much_room_as_is_paid_for(own_database_url: str) -> None:
    from tests.world import World

    world = World(own_database_url)
    told = {"title": "Process User Data", "description": "x" * 100}
    for _ in range(2):
        batch = NewBatch.model_validate({"tasks": [told] * 1000})
        world.service.create_many(batch, key=None)
    while world.deliver():
        pass
    [row] = world.table.run(
        "select pg_total_relation_size('tasks') / count(*) as bytes from tasks"
        " where status = 'completed'"
    )
    world.close()
    assert row["bytes"] == pytest.approx(BILL.month["bytes in the database, a task"], rel=0.15)


def hundred() -> NewBatch:
    return NewBatch.model_validate({"tasks": [{"title": "x"}] * 100})
