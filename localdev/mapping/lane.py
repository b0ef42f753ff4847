"""One lane of the mapping: polls the queue, invokes the function, deletes what is done."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from localdev.mapping.events import sqs_event
from localdev.mapping.function import Function, InvocationFailed
from localdev.mapping.report import report
from localdev.mapping.response import failed_messages

if TYPE_CHECKING:
    from localdev.mapping.declared import QueueSource

LONG_POLL = 20  # seconds
PAYLOAD_LIMIT = 6 * 1024 * 1024  # bytes in one invocation
_PER_RECEIVE = 10
_BACKOFF, _BACKOFF_MAX = 0.25, 5.0  # seconds

Message = dict[str, Any]


class Outage:
    """Whether SQS is out of reach, told once by whichever lane sees it first."""

    def __init__(self) -> None:
        """Start with SQS in reach."""
        self._lock = threading.Lock()
        self._since: float | None = None

    def begins(self, error: Exception) -> None:
        """Note that a call failed."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                report("queue_unreachable", "ERROR", error=str(error))

    def ends(self) -> None:
        """Note that a call succeeded."""
        with self._lock:
            if self._since is not None:
                report("queue_reachable", after_s=round(time.monotonic() - self._since, 1))
                self._since = None


@dataclass(frozen=True)
class Queue:
    """The queue a lane polls, with the client to do it."""

    client: Any
    url: str
    arn: str
    region: str
    outage: Outage
    partial: bool  # whether the mapping has ReportBatchItemFailures


class Lane:
    """A thread with a process of its own: at most one batch at a time."""

    def __init__(
        self, queue: Queue, source: QueueSource, function: Function, stopping: threading.Event
    ) -> None:
        """Everything a lane needs; it polls from start() until ``stopping`` is set."""
        self.function = function
        self._queue = queue
        self._source = source
        self._stopping = stopping
        self.holding = False
        self._left_over: list[Message] = []
        self._backoff = _BACKOFF

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=f"lane-{self.function.name}", daemon=True).start()

    def _run(self) -> None:
        self._warm()
        while not self._stopping.is_set():
            batch = self._gather()
            if self._stopping.is_set():
                self._give_back(batch)
            elif batch:
                self._work(batch)
            self.holding = bool(self._left_over)
        self._give_back(self._left_over)
        self.holding = False

    def _warm(self) -> None:
        try:
            self.function.warm()
        except InvocationFailed as failure:
            report("invocation_failed", "ERROR", function=self.function.name, error=str(failure))

    def _gather(self) -> list[Message]:
        # A batch closes at its size, its window or its weight, as Lambda's does.
        batch, self._left_over = self._left_over, []
        batch = batch or self._receive(self._source.batch_size, LONG_POLL)
        closes = time.monotonic() + self._source.window
        while batch and len(batch) < self._source.batch_size and not self._stopping.is_set():
            left = closes - time.monotonic()
            if left <= 0 or _weight(batch) >= PAYLOAD_LIMIT:
                break
            more = self._receive(self._source.batch_size - len(batch), int(left))
            batch += more
            if not more:
                self._stopping.wait(min(0.1, max(0, closes - time.monotonic())))
        return self._split(batch)

    def _split(self, batch: list[Message]) -> list[Message]:
        while len(batch) > 1 and _weight(batch) > PAYLOAD_LIMIT:
            self._left_over.insert(0, batch.pop())
        return batch

    def _receive(self, most: int, wait: int) -> list[Message]:
        try:
            answer = self._queue.client.receive_message(
                QueueUrl=self._queue.url,
                MaxNumberOfMessages=min(_PER_RECEIVE, most),
                WaitTimeSeconds=min(LONG_POLL, wait),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            if not self._stopping.is_set():
                self._queue.outage.begins(error)
            self._stopping.wait(self._backoff)
            self._backoff = min(_BACKOFF_MAX, self._backoff * 2)
            return []
        self._queue.outage.ends()
        self._backoff = _BACKOFF
        messages: list[Message] = answer.get("Messages", [])
        self.holding = self.holding or bool(messages)
        return messages

    def _work(self, batch: list[Message]) -> None:
        event = sqs_event(batch, self._queue.arn, self._queue.region)
        started = time.monotonic()
        try:
            reply = self.function.invoke(event)
        except InvocationFailed as failure:
            if self._stopping.is_set():
                self._give_back(batch)
                return
            # Nothing is deleted: the messages come back after their visibility timeout.
            duration = round((time.monotonic() - started) * 1000, 1)
            name, count = self.function.name, len(batch)
            values = {"function": name, "messages": count, "duration_ms": duration}
            report("invocation_failed", "ERROR", error=str(failure), **values)
            return
        ids = [message["MessageId"] for message in batch]
        failed = failed_messages(reply, ids) if self._queue.partial else frozenset()
        self._delete([message for message in batch if message["MessageId"] not in failed])

    def _delete(self, messages: list[Message]) -> None:
        self._in_tens("delete_message_batch", messages, {})

    def _give_back(self, messages: list[Message]) -> None:
        self._in_tens("change_message_visibility_batch", messages, {"VisibilityTimeout": 0})

    def _in_tens(self, operation: str, messages: list[Message], values: dict[str, int]) -> None:
        for start in range(0, len(messages), _PER_RECEIVE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], **values}
                for number, message in enumerate(messages[start : start + _PER_RECEIVE])
            ]
            try:
                getattr(self._queue.client, operation)(QueueUrl=self._queue.url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                # They come back after their visibility timeout; the worker has to expect that.
                report("queue_call_failed", "WARNING", operation=operation, error=str(error))


def _weight(batch: list[Message]) -> int:
    return sum(len(message["Body"].encode()) for message in batch)
