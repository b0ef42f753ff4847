"""Two queues with one face for tests: the fake one, and SQS over the wire."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from localdev.mapping.events import sqs_event
from tests.fakes import FakeQueue

if TYPE_CHECKING:
    from chalicelib.queue import TaskQueue

_ARN = "arn:aws:sqs:us-east-1:000000000000:queue"


class Line(Protocol):
    """What Lambda's mapping and a clock do to a queue, behind the service's back."""

    def receive(self) -> list[dict[str, Any]]:
        """Receive up to ten messages, as records of a Lambda event."""

    def delete(self, records: list[dict[str, Any]]) -> None:
        """Delete what these records were received from."""

    def hurry(self) -> None:
        """Let every hidden message be seen at once, as when time has passed."""

    def left(self) -> int:
        """Return how many messages there are; dead letters do not count."""


class FakeLine:
    """The fake queue."""

    def __init__(self, queue: TaskQueue) -> None:
        assert isinstance(queue, FakeQueue)
        self._queue = queue

    def receive(self) -> list[dict[str, Any]]:
        return self._queue.receive()

    def delete(self, records: list[dict[str, Any]]) -> None:
        gone = {record["receiptHandle"] for record in records}
        self._queue.stored = [one for one in self._queue.stored if not one.receipts & gone]

    def hurry(self) -> None:
        self._queue.now += 13 * 60 * 60

    def left(self) -> int:
        return len(self._queue.stored)


class SqsLine:
    """A queue of an SQS server, spoken to directly whatever stands before the service."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.url = client.get_queue_url(QueueName=name)["QueueUrl"]
        self._received: dict[str, str] = {}

    def receive(self) -> list[dict[str, Any]]:
        reply = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
        )
        messages = reply.get("Messages", [])
        self._received |= {one["MessageId"]: one["ReceiptHandle"] for one in messages}
        records: list[dict[str, Any]] = sqs_event(messages, _ARN, "us-east-1")["Records"]
        return records

    def delete(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            # SQS does not mind if it is gone; moto does.
            with contextlib.suppress(self.client.exceptions.ReceiptHandleIsInvalid):
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
            self._received.pop(record["messageId"], None)

    def hurry(self) -> None:
        for receipt in self._received.values():
            # Of some the worker said already when they are to be seen.
            with contextlib.suppress(self.client.exceptions.ClientError):
                self.client.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=0
                )
        self._received.clear()

    def left(self) -> int:
        names = [f"ApproximateNumberOfMessages{more}" for more in ("", "NotVisible", "Delayed")]
        reply = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(reply["Attributes"][name]) for name in names)
