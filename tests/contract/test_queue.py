"""What a queue does, held against the real one and against the fake that tests rely on."""

from __future__ import annotations

import inspect
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from chalicelib.errors import QueueUnavailable
from chalicelib.queue import MAX_MESSAGE_BYTES, Letter, Message, TaskQueue
from tests.fakes import FakeQueue

if TYPE_CHECKING:
    from collections.abc import Callable


class Bench(Protocol):
    """A queue under test, and what a test may do with it besides."""

    @property
    def queue(self) -> TaskQueue: ...
    def receive_records(self) -> list[dict[str, Any]]: ...
    def dead(self) -> list[str]: ...
    def wait(self, seconds: float) -> None: ...
    def put(self, body: str) -> None: ...


class FakeBench:
    def __init__(self) -> None:
        self.queue = FakeQueue()

    def receive_records(self) -> list[dict[str, Any]]:
        return self.queue.receive()

    def dead(self) -> list[str]:
        return list(self.queue.dead)

    def wait(self, seconds: float) -> None:
        self.queue.now += seconds

    def put(self, body: str) -> None:
        self.queue.put(body)


class RealBench:
    def __init__(self, client: Any, name: str) -> None:
        self.queue = TaskQueue(lambda: client, name, f"{name}-dlq", fair=True)
        self.client = client
        self.url = client.get_queue_url(QueueName=name)["QueueUrl"]
        self.dead_url = client.get_queue_url(QueueName=f"{name}-dlq")["QueueUrl"]

    def receive_records(self) -> list[dict[str, Any]]:
        reply = self.client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"]
        )
        names = {"messageId": "MessageId", "receiptHandle": "ReceiptHandle", "body": "Body"}
        return [
            {ours: one[theirs] for ours, theirs in names.items()} | _attributes(one)
            for one in reply.get("Messages", [])
        ]

    def dead(self) -> list[str]:
        reply = self.client.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [one["Body"] for one in reply.get("Messages", [])]

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)  # the server has no clock but the real one

    def put(self, body: str) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body)


def _attributes(received: dict[str, Any]) -> dict[str, Any]:
    return {"attributes": received["Attributes"]}


def _message(record: dict[str, Any]) -> Message:
    return Message.from_record(record, readable=record["body"].startswith('{"task_id"'))


def receive(bench: Bench) -> list[Message]:
    return [_message(one) for one in bench.receive_records()]


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "fake":
        return FakeBench()
    return RealBench(request.getfixturevalue("sqs"), request.getfixturevalue("queue_name"))


def letter(number: int, *, description: str | None = None, delay: float = 0) -> Letter:
    return Letter(
        tenant="acme", id=number, title=f"title {number}", description=description, delay=delay
    )


def test_a_letter_arrives_as_it_was_sent_with_its_first_receive_counted(bench: Bench) -> None:
    bench.queue.send([letter(1, description="é\U0001f600 '\"\\")])
    [message] = receive(bench)
    assert (message.task_id, message.receive_count) == (1, 1)
    assert message.body == letter(1, description="é\U0001f600 '\"\\").body()


def test_more_letters_than_a_call_may_hold_all_arrive(bench: Bench) -> None:
    bench.queue.send([letter(number) for number in range(1, 26)])
    assert bench.queue.depth() == 25
    seen: set[int] = set()
    while received := receive(bench):
        seen |= {message.task_id for message in received}
    assert seen == set(range(1, 26))


def test_letters_that_together_pass_a_calls_size_all_arrive(bench: Bench) -> None:
    bulk = "x" * (MAX_MESSAGE_BYTES - 200)
    bench.queue.send([letter(number, description=bulk) for number in range(1, 6)])
    assert bench.queue.depth() == 5


def test_a_description_too_long_for_a_message_is_left_to_the_row(bench: Bench) -> None:
    bench.queue.send([letter(1, description="é" * MAX_MESSAGE_BYTES)])
    [message] = receive(bench)
    assert json.loads(message.body) == {
        "task_id": 1,
        "title": "title 1",
        "description": None,
        "truncated": True,
    }


def test_a_delayed_letter_is_counted_but_not_seen_before_its_time(bench: Bench) -> None:
    bench.queue.send([letter(1, delay=0.5)])
    assert (receive(bench), bench.queue.depth()) == ([], 1)
    bench.wait(1.1)
    assert len(receive(bench)) == 1


def test_a_received_message_is_hidden_and_still_counted(bench: Bench) -> None:
    bench.queue.send([letter(1)])
    receive(bench)
    assert (receive(bench), bench.queue.depth()) == ([], 1)


def test_a_message_hidden_for_no_time_is_seen_at_once_and_its_receives_add_up(
    bench: Bench,
) -> None:
    bench.queue.send([letter(1)])
    for count in (1, 2, 3):
        [message] = receive(bench)
        assert message.receive_count == count
        bench.queue.hide([(message, 0)])


def test_a_message_is_seen_again_after_the_time_it_was_hidden_for(bench: Bench) -> None:
    bench.queue.send([letter(1)])
    bench.queue.hide([(message, 0.3) for message in receive(bench)])
    assert receive(bench) == []
    bench.wait(1.1)
    assert len(receive(bench)) == 1


def test_a_letter_is_in_its_tenants_group_and_stays_in_it_when_it_is_hidden(bench: Bench) -> None:
    of_two = [replace(letter(number), tenant=f"tenant-{number}") for number in (1, 2)]
    bench.queue.send(of_two)
    for _ in range(2):
        records = bench.receive_records()
        groups = {_message(one).task_id: one["attributes"]["MessageGroupId"] for one in records}
        assert groups == {1: "tenant-1", 2: "tenant-2"}
        bench.queue.hide([(_message(one), 0) for one in records])


def test_a_message_of_nobody_is_in_no_group(bench: Bench) -> None:
    bench.put("not one of ours")
    [record] = bench.receive_records()
    assert "MessageGroupId" not in record["attributes"]


def test_a_wait_beyond_what_sqs_allows_is_cut_not_refused(bench: Bench) -> None:
    bench.queue.send([letter(1)])
    bench.queue.hide([(message, 1e9) for message in receive(bench)])
    assert receive(bench) == []


def test_a_wait_that_is_over_already_is_none(bench: Bench) -> None:
    bench.queue.send([letter(1)])
    bench.queue.hide([(message, -5) for message in receive(bench)])
    assert len(receive(bench)) == 1


def test_deleted_messages_are_gone_and_may_be_deleted_again(bench: Bench) -> None:
    bench.queue.send([letter(number) for number in range(1, 13)])
    received: list[Message] = []
    while some := receive(bench):
        received += some
    bench.queue.delete(received)
    assert bench.queue.depth() == 0
    bench.queue.delete(received)


def test_a_message_received_too_often_goes_to_the_dead_letter_queue(bench: Bench) -> None:
    bench.queue.send([letter(1)])
    for _ in range(3):
        bench.queue.hide([(message, 0) for message in receive(bench)])
    assert receive(bench) == []
    assert (bench.dead(), bench.queue.depth()) == ([letter(1).body()], 0)


def test_a_buried_message_is_a_dead_letter_with_the_same_body(bench: Bench) -> None:
    bench.put("not one of ours")
    bench.queue.bury(receive(bench))
    assert (bench.dead(), bench.queue.depth()) == (["not one of ours"], 0)


@pytest.mark.parametrize("name", ["send", "hide", "delete", "bury"])
def test_nothing_to_do_is_no_call_that_sqs_would_refuse(bench: Bench, name: str) -> None:
    getattr(bench.queue, name)([])
    assert bench.queue.depth() == 0


def _away_fake(_request: pytest.FixtureRequest) -> TaskQueue:
    queue = FakeQueue()
    queue.away = True
    return queue


def _away_real(request: pytest.FixtureRequest) -> TaskQueue:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "sqs",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    request.addfinalizer(client.close)
    return TaskQueue(lambda: client, "away", "away-dlq")


@pytest.mark.parametrize("make", [_away_fake, _away_real])
def test_a_queue_that_is_away_says_so_and_which_letters_it_did_not_take(
    make: Callable[[pytest.FixtureRequest], TaskQueue], request: pytest.FixtureRequest
) -> None:
    queue = make(request)
    with pytest.raises(QueueUnavailable) as caught:
        queue.send([letter(1), letter(2)])
    assert caught.value.context["unsent"] == [1, 2]
    message = Message(id="m", receipt="r", task_id=1, receive_count=1, trace_id=None, body="")
    calls: list[Callable[[], object]] = [
        lambda: queue.hide([(message, 0)]),
        lambda: queue.delete([message]),
        lambda: queue.bury([message]),
        queue.depth,
    ]
    for call in calls:
        with pytest.raises(QueueUnavailable):
            call()


def test_a_queue_that_does_not_exist_is_unavailable(sqs: Any) -> None:
    with pytest.raises(QueueUnavailable, match=r"NonExistentQueue|QueueDoesNotExist"):
        TaskQueue(lambda: sqs, "no-such-queue", "no-such-queue-dlq").depth()


def test_the_fake_has_every_public_method_of_the_real_one_with_the_same_parameters() -> None:
    for name, method in inspect.getmembers(TaskQueue, inspect.isfunction):
        if not name.startswith("_"):
            fake = getattr(FakeQueue, name)
            assert fake is not method, f"FakeQueue does not stand in for {name}"
            assert inspect.signature(fake) == inspect.signature(method)


def test_letters_are_received_hidden_and_deleted_one_by_one(bench: Bench) -> None:
    letters = bench.queue.letters
    letters.send([letter(1), letter(2)])
    letters.put("not a task")
    letters.put('{"task_id": "7"}')
    received = letters.receive_messages(hidden_for=60)
    assert sorted(message.task_id for message in received) == [0, 0, 1, 2]
    assert letters.receive_messages(hidden_for=60) == []
    assert letters.depth() == 4
    letters.delete([message for message in received if message.task_id != 2])
    letters.hide([(message, 0) for message in received if message.task_id == 2])
    assert letters.depth() == 1
    assert [message.task_id for message in letters.receive_messages(hidden_for=0)] == [2]


def test_a_buried_message_is_a_letter(bench: Bench) -> None:
    bench.queue.send([letter(7)])
    bench.queue.bury(receive(bench))
    assert (bench.queue.depth(), bench.queue.letters.depth()) == (0, 1)
    [message] = bench.queue.letters.receive_messages(hidden_for=0)
    assert message.task_id == 7
