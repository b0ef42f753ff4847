"""Tasks of high priority go by a queue of their own, before which no backlog stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import BatchPartiallyFailed, RetryLater
from chalicelib.queue import Letter, TaskQueue
from chalicelib.schemas import NewBatch, NewTask, RetryMany, StatsQuery, TaskChanges
from localdev import seed
from tests.integration.api import problem
from tests.world import raising

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.integration.api import Api
    from tests.world import World

ON = {"priority_queue": "on"}


class Pair:
    """The service with both queues on a real SQS server, and what stands for their mappings."""

    def __init__(self, world_of: Callable[..., World], client: Any, name: str) -> None:
        plan = seed.Plan(name, f"{name}-dlq", 360, 3, high_queue=f"{name}-high")
        found = seed.seed(client, plan)
        self.client = client
        self.urls = {"normal": found.url, "high": found.high_url, "dead": found.dead_letter_url}
        self.queue = TaskQueue(
            lambda: client, name, f"{name}-dlq", high_name=f"{name}-high", fair=True
        )
        self.world = world_of(self.queue, queue_name=name, **ON)

    def received(self, which: str) -> list[dict[str, Any]]:
        """Receive from one queue, as records of a Lambda event."""
        reply = self.client.receive_message(
            QueueUrl=self.urls[which],
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
        )
        name = self.urls[which].rpartition("/")[2]
        return [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one["Attributes"],
                "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{name}",
            }
            for one in reply.get("Messages", ())
        ]

    def deliver(self, which: str) -> list[int]:
        """Do as the mapping of one queue does; return which tasks it delivered."""
        records = self.received(which)
        kept = self.world.work(records)
        for one in records:
            if one["messageId"] not in kept:
                handle = one["receiptHandle"]
                self.client.delete_message(QueueUrl=self.urls[which], ReceiptHandle=handle)
        return ids(records)

    def lose(self) -> None:
        """Let both queues forget everything."""
        for which in ("normal", "high"):
            self.client.purge_queue(QueueUrl=self.urls[which])


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [json.loads(one["body"])["task_id"] for one in records]


@pytest.fixture
def pair(world_of: Callable[..., World], sqs: Any, queue_name: str) -> Pair:
    return Pair(world_of, sqs, queue_name)


def create(world: World, *priorities: str | None, kind: str = "default") -> list[int]:
    tasks = [
        NewTask.model_validate({"title": "x", "kind": kind, "priority": p}) for p in priorities
    ]
    return [view.id for view in world.service.create_many(NewBatch(tasks=tasks)).items]


def test_a_high_task_is_done_while_the_normal_ones_before_it_wait(pair: Pair) -> None:
    *others, urgent = create(pair.world, *[None] * 11, "normal", "high")
    assert pair.deliver("high") == [urgent]
    assert pair.world.table.status(urgent) == "completed"
    assert {pair.world.table.status(number) for number in others} == {"pending"}
    assert pair.queue.depth() == len(others)
    assert set(pair.deliver("normal")) | set(pair.deliver("normal")) == set(others)


@pytest.mark.parametrize("priority", ["normal", "high"])
def test_a_task_that_fails_is_tried_again_by_its_own_queue_and_dead_lettered(
    pair: Pair, priority: str
) -> None:
    pair.world.registry.handler("bad")(raising(RetryLater("no luck", seconds=0)))
    [number] = create(pair.world, priority, kind="bad")
    other = "normal" if priority == "high" else "high"
    for attempt in (1, 2, 3):
        assert (pair.deliver(other), pair.deliver(priority)) == ([], [number])
        assert pair.world.table.row(number)["attempt"] == attempt
    assert (pair.deliver(priority), ids(pair.received("dead"))) == ([], [number])
    assert pair.world.table.status(number) == "failed"
    assert pair.queue.depth() == 0


def test_a_high_message_that_is_hidden_stays_on_its_own_queue(pair: Pair) -> None:
    pair.world.registry.handler("bad")(raising(RetryLater("not yet", seconds=3600)))
    [number] = create(pair.world, "high", kind="bad")
    assert pair.deliver("high") == [number]
    assert pair.world.table.status(number) == "retrying"
    assert (pair.deliver("high"), pair.queue.depth()) == ([], 1)


def test_a_message_that_sqs_should_have_moved_is_buried_from_its_own_queue(pair: Pair) -> None:
    number = pair.world.table.arrange("failed", priority="high")
    letter = Letter(id=number, title="x", description=None, tenant="acme", priority="high")
    pair.queue.send([letter])
    records = pair.received("high")
    records[0]["attributes"]["ApproximateReceiveCount"] = "4"
    pair.world.work(records)
    assert (pair.queue.depth(), ids(pair.received("dead"))) == (0, [number])


def test_where_a_partial_answer_is_not_read_each_is_deleted_from_its_own_queue(
    pair: Pair, world_of: Callable[..., World]
) -> None:
    world = world_of(pair.queue, partial_batch="delete", **ON)
    good, later = create(world, "high", "high")
    world.table.update(later, run_at=world.table.at(600))
    with pytest.raises(BatchPartiallyFailed):
        world.work(pair.received("high"))
    assert (world.table.status(good), pair.queue.depth()) == ("completed", 1)


def test_what_both_queues_lost_is_sent_again_by_the_queue_of_each(pair: Pair) -> None:
    normal, high = create(pair.world, "normal", "high")
    pair.lose()
    assert pair.queue.depth() == 0
    assert pair.world.sweep(queue_lost=True)["sent"] == 2
    assert (pair.deliver("high"), pair.deliver("normal")) == ([high], [normal])


def test_a_long_backlog_on_either_queue_is_no_deficit(pair: Pair) -> None:
    numbers = create(pair.world, "normal", "high")
    for number in numbers:
        pair.world.table.update(number, dispatch_after=pair.world.table.at(-1))
    assert pair.world.sweep()["sent_again"] == 0
    pair.client.purge_queue(QueueUrl=pair.urls["high"])
    assert pair.world.sweep()["sent_again"] == 1


def test_a_high_task_whose_queue_was_switched_off_goes_by_the_other(
    pair: Pair, world_of: Callable[..., World], queue_name: str
) -> None:
    [number] = create(pair.world, "high")
    pair.lose()
    alone = TaskQueue(lambda: pair.client, queue_name, f"{queue_name}-dlq")
    off = world_of(alone, queue_name=queue_name)
    off.sweep(queue_lost=True)
    assert pair.received("high") == []
    assert pair.deliver("normal") == [number]
    assert off.table.status(number) == "completed"


def test_a_message_of_a_queue_that_was_switched_on_just_now_finds_its_own(pair: Pair) -> None:
    """A high task whose message went by the normal queue is hidden and deleted there."""
    number = pair.world.table.arrange("pending", priority="high")
    pair.queue.send([Letter(id=number, title="x", description=None, tenant="acme")])
    assert pair.deliver("normal") == [number]
    assert (pair.world.table.status(number), pair.queue.depth()) == ("completed", 0)


def test_a_schedules_task_may_be_of_high_priority(pair: Pair) -> None:
    task = json.dumps({"title": "x", "kind": "default", "priority": "high"})
    pair.world.table.run(
        "insert into schedules (tenant, name, cron, time_zone, task, missed, paused, next_at)"
        " values ('acme', 's', '0 0 1 1 *', 'UTC', %s, 'catch_up', false, now())",
        [task],
    )
    pair.world.sweep()
    [number] = pair.deliver("high")
    row = pair.world.table.row(number)
    assert (row["tenant"], row["priority"]) == ("acme", "high")


def test_a_follow_up_may_be_of_high_priority(pair: Pair) -> None:
    def ask(task: Task, context: Context) -> None:  # noqa: ARG001
        context.enqueue("next", priority="high")

    pair.world.registry.handler("ask")(ask)
    create(pair.world, None, kind="ask")
    pair.deliver("normal")
    [number] = pair.deliver("high")
    assert pair.world.table.row(number)["priority"] == "high"


@pytest.mark.parametrize("move", ["retry", "retry_many", "update"])
def test_a_move_by_hand_sends_by_the_queue_of_the_task(pair: Pair, move: str) -> None:
    service, table = pair.world.service, pair.world.table
    status = "pending" if move == "update" else "failed"
    number = table.arrange(status, priority="high", run_at=table.at(5 if move == "update" else 0))
    if move == "retry":
        assert service.retry(number).priority == "high"
    elif move == "retry_many":
        service.retry_many(RetryMany(status="failed", limit=10))
    else:
        service.update(number, TaskChanges(delay_seconds=0))
    assert pair.deliver("high") == [number]


def test_depths_are_those_of_both_queues(pair: Pair) -> None:
    create(pair.world, "normal", "high", "high")
    assert pair.world.service.stats(StatsQuery()).queue.tasks == 3  # type: ignore[union-attr]


def test_what_one_queue_does_not_take_is_named_and_the_other_gets_its_own(pair: Pair) -> None:
    pair.client.delete_queue(QueueUrl=pair.urls["high"])
    normal, high = create(pair.world, "normal", "high")
    assert pair.world.table.unsent() == {high}
    assert pair.deliver("normal") == [normal]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/tasks", {"title": "x", "priority": "high"}, "#/priority"),
        (
            "/tasks/batch",
            {"tasks": [{"title": "x", "priority": "normal"}, {"title": "x", "priority": "high"}]},
            "#/tasks/1/priority",
        ),
        (
            "/schedules",
            {"name": "s", "cron": "* * * * *", "task": {"title": "x", "priority": "high"}},
            "#/task/priority",
        ),
    ],
)
def test_without_its_queue_a_high_priority_is_refused_and_told_what_to_set(
    api: Api, path: str, body: dict[str, Any], pointer: str
) -> None:
    response = api.call("POST", path, body, Content_Type="application/json")
    [broken] = problem(response, 422)["errors"]
    assert broken["pointer"] == pointer
    assert "PRIORITY_QUEUE" in broken["detail"]
    assert api.table.count() == 0


def test_any_other_priority_is_refused(api_of: Callable[..., Api]) -> None:
    api = api_of(**ON)
    [broken] = problem(api.post({"title": "x", "priority": "urgent"}), 422)["errors"]
    assert broken["pointer"] == "#/priority"
    made = json.loads(api.post({"title": "x", "priority": "high"}).body)
    assert made["priority"] == "high"
    assert json.loads(api.get(f"/tasks/{made['id']}").body)["priority"] == "high"
    assert json.loads(api.get("/tasks").body)["items"][0]["priority"] == "high"
