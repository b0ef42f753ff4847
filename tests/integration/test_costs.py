"""What a task and a tick take is what docs/costs.md counts: SQS's requests, log lines, storage."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.queue import TaskQueue
from chalicelib.schemas import NewBatch, NewTask, StatsQuery
from tests.costs import PAGE, Bill
from tests.fakes import FakeContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes import Heard
    from tests.integration.api import Api
    from tests.world import World

BILL = Bill(PAGE.read_text(encoding="utf-8"))
ALONE, TEN, HUNDRED = (BILL.task[way] for way in BILL.ways)
#: Each way with a number of tasks that it is measured by, and how many of them one request has.
WAYS = [(BILL.ways[0], 1, 0), (BILL.ways[1], 10, 0), (BILL.ways[2], 100, 100)]
#: Durations have more or fewer digits from run to run.
ABOUT = 0.03


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


class Logged:
    """The lines that the functions of a deployed stage would write, as far as lengths go."""

    def __init__(self, api: Api, heard: Heard) -> None:
        self.api = api
        self._heard = heard
        api.table.run("alter table tasks alter id restart with 100000001")
        api.get("/healthz")
        heard.lines.clear()

    def post(self, many: int = 0) -> None:
        if many:
            body = {"tasks": [{"title": "x"}] * many}
            self.api.call("POST", "/tasks/batch", body, Content_Type="application/json")
        else:
            self.api.post({"title": "x"})

    def work(self) -> None:
        received = self.api.queue.receive()
        for one in received:
            one["messageId"] = str(uuid.uuid4())
        front_door.work({"Records": received}, InLambda("worker"))

    def sweep(self) -> None:
        names = ("version", "account", "region", "detail-type", "source", "time", "id")
        tick: dict[str, Any] = dict.fromkeys(names, "")
        front_door.sweep(tick | {"detail": {}, "resources": []}, InLambda("sweeper"))

    def sizes(self, *, metrics: bool) -> tuple[int, int]:
        """Return how many lines were written, of metrics or others, and their bytes."""
        lines = [one for one in self._heard.lines if ('"event": "metrics"' in one) == metrics]
        return len(lines), sum(map(len, lines))


class InLambda(FakeContext):
    """An invocation with names and ids as long as they are on AWS."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function_name = f"tasks-prod-{function}"
        self.aws_request_id = str(uuid.uuid4())


@pytest.fixture
def logged(
    api_of: Callable[..., Api], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Logged]:
    """A stage like prod, past its cold starts."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    api = api_of(metrics="emf", metrics_stage="prod")
    assert api.runtime.metrics
    logging.getLogger("chalicelib").addHandler(api.runtime.metrics)
    yield Logged(api, heard)
    logging.getLogger("chalicelib").removeHandler(api.runtime.metrics)


def test_a_task_by_itself_is_one_request_to_sqs(on_sqs: World, asked: Counter[str]) -> None:
    on_sqs.service.create(NewTask(title="x"), key=None, wait=0)
    assert asked == {"SendMessage": ALONE["SQS: requests by the API"]}


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


def test_an_idle_tick_asks_sqs_once(on_sqs: World, asked: Counter[str]) -> None:
    on_sqs.sweep()
    assert asked.total() == BILL.month["SQS requests of a tick"]


def test_an_idle_tick_writes_as_much_as_is_paid_for(logged: Logged) -> None:
    logged.sweep()
    lines, size = map(sum, zip(*(logged.sizes(metrics=one) for one in (True, False)), strict=True))
    assert lines == BILL.month["lines of log by the sweeper, a tick"]
    assert size == pytest.approx(BILL.month["bytes of log by the sweeper, a tick"], rel=ABOUT)


@pytest.mark.parametrize("path", ["/tasks/{}", "/stats"])
def test_a_look_writes_as_much_as_is_paid_for(logged: Logged, path: str) -> None:
    number = logged.api.table.arrange("completed")
    assert logged.api.get(path.format(number)).status_code == 200
    assert logged.sizes(metrics=True) == (0, 0)
    lines, size = logged.sizes(metrics=False)
    assert lines == BILL.month["lines of log by the service, a look"]
    assert size == pytest.approx(BILL.month["bytes of log by the service, a look"], rel=ABOUT)


def test_statistics_with_the_queues_ask_sqs_as_often_as_is_paid_for(
    on_sqs: World, asked: Counter[str]
) -> None:
    assert on_sqs.service.stats(StatsQuery()).queue
    assert asked.total() == BILL.month["SQS requests of `GET /stats`, at most"]


@pytest.mark.parametrize(("way", "tasks", "at_once"), WAYS)
def test_a_task_writes_as_many_lines_and_bytes_as_are_paid_for(
    logged: Logged, way: str, tasks: int, at_once: int
) -> None:
    for _ in range(tasks // max(at_once, 1)):
        logged.post(at_once)
        if tasks == 1:
            logged.work()
    while logged.api.queue.stored and tasks > 1:
        logged.work()
        logged.api.queue.stored = [one for one in logged.api.queue.stored if not one.receives]
    takes = BILL.task[way]
    for metrics, name in ((False, "log by the service"), (True, "metrics in the log")):
        lines, size = logged.sizes(metrics=metrics)
        assert lines / tasks == pytest.approx(takes[f"lines of {name}"])
        assert size / tasks == pytest.approx(takes[f"bytes of {name}"], rel=ABOUT)


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
