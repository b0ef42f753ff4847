"""Whatever ends a task with a callback_url makes one webhook, and no more."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import GiveUp, IllegalMove, InvalidRequest
from chalicelib.handlers import registry
from chalicelib.handlers.webhook_deliver import ATTEMPTS, deliver
from chalicelib.moments import to_number
from chalicelib.outbound.signing import secrets_of, sign
from chalicelib.schemas import NewBatch, NewTask
from tests.receiver import Receiver, answering, receiver
from tests.world import bad, raising, returning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World

ROOTS = ",".join(letter * 32 for letter in "ab")
KIND = "webhook.deliver"


@pytest.fixture(scope="module")
def served() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def world(world_of: Callable[..., World]) -> World:
    world = world_of(webhook_secrets=ROOTS, outbound_allow="127.0.0.1", retry_delay=0)
    model, policy = registry.payload_of(KIND), registry.policy_of(KIND)
    world.registry.handler(KIND, payload=model, attempts=policy.attempts, backoff=policy.backoff)(
        deliver
    )
    return world


def webhooks(world: World) -> list[dict[str, Any]]:
    return world.table.run("select * from tasks where kind = %s order by id", [KIND])


def with_callback(world: World, number: int, url: str = "https://example.com/") -> int:
    world.table.update(number, callback_url=url)
    return number


def completed(world: World) -> int:
    number = with_callback(world, world.task())
    world.deliver()
    return number


def completed_with_effects(world: World) -> int:
    def handle(_task: Any, context: Any) -> None:
        context.transaction().execute("select 1")

    number = with_callback(world, bad(world, handle))
    world.deliver()
    return number


def given_up(world: World) -> int:
    number = with_callback(world, bad(world, raising(GiveUp("no"))))
    world.deliver()
    return number


def cancelled_while_worked(world: World) -> int:
    def handle(task: Any, _context: Any) -> None:
        world.service.cancel(task.id)
        raise ValueError

    number = with_callback(world, bad(world, handle))
    world.deliver()
    return number


def cancelled_while_waiting(world: World) -> int:
    number = with_callback(world, world.table.arrange("pending"))
    world.service.cancel(number)
    return number


def cancelled_at_the_claim(world: World) -> int:
    lost = {"lease_until": world.table.at(-1), "cancel_requested_at": world.table.at(0)}
    number = world.table.arrange("processing", **lost)
    world.queue.put(f'{{"task_id": {number}}}')
    with_callback(world, number)
    world.deliver()
    return number


def exhausted_at_the_claim(world: World) -> int:
    number = with_callback(world, world.task(attempt=3))
    world.deliver()
    return number


def rescued_for_the_last_time(world: World) -> int:
    lost = {"lease_until": world.table.at(-1), "attempt": 3}
    number = with_callback(world, world.table.arrange("processing", **lost))
    world.sweep()
    return number


def expired(world: World) -> int:
    number = with_callback(world, world.table.arrange("pending", expires_at=world.table.at(-1)))
    world.sweep()
    return number


def never_queued(world: World) -> int:
    number = with_callback(world, world.table.arrange("pending"))
    world.store.fail_unqueued_task(number, "SQS is away.")
    return number


WAYS: list[tuple[Callable[[World], int], str]] = [
    (completed, "completed"),
    (completed_with_effects, "completed"),
    (given_up, "failed"),
    (cancelled_while_worked, "cancelled"),
    (cancelled_while_waiting, "cancelled"),
    (cancelled_at_the_claim, "cancelled"),
    (exhausted_at_the_claim, "failed"),
    (rescued_for_the_last_time, "failed"),
    (expired, "failed"),
    (never_queued, "failed"),
]


@pytest.mark.parametrize(("way", "status"), WAYS, ids=lambda one: getattr(one, "__name__", one))
def test_whatever_ends_a_task_makes_one_webhook(
    world: World, way: Callable[[World], int], status: str
) -> None:
    number = way(world)
    row = world.table.row(number)
    assert row["status"] == status
    [webhook] = webhooks(world)
    assert (webhook["tenant"], webhook["status"]) == (row["tenant"], "pending")
    told = webhook["payload"]
    assert (told["url"], told["type"]) == (row["callback_url"], f"task.{status}")
    assert (told["data"]["id"], told["data"]["error"]) == (number, row["error"])
    assert webhook["callback_url"] is None


def test_a_task_that_is_to_be_tried_again_is_not_told_of(world: World) -> None:
    number = with_callback(world, bad(world, raising(ValueError("once"))))
    world.deliver()
    assert world.table.status(number) == "retrying"
    assert webhooks(world) == []


def test_a_task_without_a_callback_makes_none_and_costs_no_statement(world: World) -> None:
    world.task()
    world.deliver()
    without = list(world.query.names)
    assert webhooks(world) == []
    world.query.names.clear()
    completed(world)
    assert world.query.names == [*without, "dispatch_tasks"]


def test_a_second_end_after_a_retry_by_hand_is_a_second_webhook(world: World) -> None:
    number = given_up(world)
    world.service.retry(number)
    world.deliver()
    first, second = webhooks(world)
    assert first["id"] != second["id"]
    assert first["payload"]["timestamp"] < second["payload"]["timestamp"]


def test_of_two_who_end_a_task_at_once_one_makes_the_webhook(world: World) -> None:
    numbers = [with_callback(world, world.table.arrange("pending")) for _ in range(5)]
    expiry = world.table.at(-1)
    for number in numbers:
        world.table.update(number, expires_at=expiry)
    start = threading.Barrier(2)

    def cancel() -> None:
        start.wait()
        for number in numbers:
            with contextlib.suppress(IllegalMove):
                world.service.cancel(number)

    other = threading.Thread(target=cancel)
    other.start()
    start.wait()
    world.store.expire_tasks(limit=100)
    other.join()
    told = [row["payload"]["data"]["id"] for row in webhooks(world)]
    assert sorted(told) == numbers


def test_a_webhook_is_posted_at_once_signed_and_stays_the_same_over_attempts(
    world: World, served: Receiver
) -> None:
    served.asked.clear()
    served.script = answering(404)
    world.registry.handler("good")(returning({"total": 5}))
    number = world.task(kind="good", callback_url=served.url("/hook?x=1"))
    world.table.update(number, tags=["a"])
    world.deliver()
    world.deliver()
    [webhook] = webhooks(world)
    assert webhook["status"] == "retrying"
    world.table.update(webhook["id"], run_at=world.table.at(-1))
    served.script = answering(204)
    world.queue.put(f'{{"task_id": {webhook["id"]}}}')
    world.deliver()
    assert world.table.row(webhook["id"])["result"] == {"status": 204}
    first, second = served.asked
    assert first.body == second.body
    assert first.path == "/hook?x=1"
    body = json.loads(first.body)
    assert (body["type"], body["data"]["id"]) == ("task.completed", number)
    assert (body["data"]["result"], body["data"]["tags"]) == ({"total": 5}, ["a"])
    assert body["timestamp"] == body["data"]["finished_at"]
    assert "payload" not in body["data"]
    key = f"task-{webhook['id']}-{to_number(webhook['created_at'])}"
    for asked in (first, second):
        assert asked.headers["webhook-id"] == key
        moment = int(asked.headers["webhook-timestamp"])
        secrets = secrets_of("default", ROOTS)
        assert len(secrets) == 2
        signature = sign(secrets, key, moment, asked.body)
        assert asked.headers["webhook-signature"] == signature


def test_a_receiver_that_is_gone_is_not_asked_again(world: World, served: Receiver) -> None:
    served.script = answering(410)
    with_callback(world, world.task(), served.url())
    world.deliver()
    world.deliver()
    [webhook] = webhooks(world)
    assert (webhook["status"], webhook["error"]["code"]) == ("failed", "permanent")


def test_the_database_gives_a_webhook_the_attempts_of_its_handler(world: World) -> None:
    completed(world)
    [webhook] = webhooks(world)
    assert webhook["attempt_limit"] == ATTEMPTS == registry.policy_of(KIND).attempts
    backoff = registry.policy_of(KIND).backoff
    assert backoff
    waits = sum(
        min(backoff.longest, backoff.base * 2 ** (attempt - 1)) for attempt in range(1, ATTEMPTS)
    )
    assert 20 * 3600 < waits < 28 * 3600


@pytest.mark.parametrize(("size", "left_out"), [(60_000, False), (70_000, True)])
def test_a_long_result_is_left_out_and_the_webhook_says_so(
    world: World, size: int, *, left_out: bool
) -> None:
    with_callback(world, bad(world, returning("x" * size)))
    world.deliver()
    [webhook] = webhooks(world)
    data = webhook["payload"]["data"]
    assert (data["result_left_out"], data["result"] is None) == (left_out, left_out)


def test_a_webhook_that_cannot_be_sent_at_once_is_sent_by_the_sweeper(world: World) -> None:
    number = with_callback(world, world.table.arrange("pending", expires_at=world.table.at(-1)))
    world.sweep()
    [webhook] = webhooks(world)
    assert webhook["dispatch_count"] == 1
    assert world.table.status(number) == "failed"


def test_callbacks_come_with_new_tasks_one_and_many(world: World) -> None:
    new = NewTask(title="x", callback_url="https://example.com/hook")
    made = world.service.create(new).task
    assert made.callback_url == "https://example.com/hook"
    batch = world.service.create_many(NewBatch(tasks=[new, NewTask(title="y")]))
    assert [one.callback_url for one in batch.items] == ["https://example.com/hook", None]


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "https://a.b:8443/"])
def test_a_callback_into_our_network_is_refused_when_the_task_is_created(
    world: World, url: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        world.service.create_many(NewBatch(tasks=[NewTask(title="x", callback_url=url)]))
    [broken] = refused.value.context["errors"]
    assert broken["pointer"] == "#/tasks/0/callback_url"
    assert world.table.count() == 0


def test_without_a_secret_no_callback_is_taken(world_of: Callable[..., World]) -> None:
    world = world_of()
    new = NewTask(title="x", callback_url="https://example.com/")
    with pytest.raises(InvalidRequest, match="no WEBHOOK_SECRETS"):
        world.service.create(new)
    assert world.table.count() == 0


def test_a_queue_that_is_away_loses_no_webhook(world: World) -> None:
    number = with_callback(world, world.table.arrange("pending"))
    world.queue.away = True
    world.service.cancel(number)
    [webhook] = webhooks(world)
    assert world.table.unsent() == {webhook["id"]}
