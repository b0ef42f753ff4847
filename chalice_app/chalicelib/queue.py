"""The only room that knows SQS: sending, hiding, deleting, and the shape of a message."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import QueueUnavailable, UnreadableMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

logger = logging.getLogger(__name__)

#: Bounds of SQS. Source: Amazon SQS Developer Guide, "Message quotas".
MAX_ENTRIES = 10
MAX_CALL_BYTES = 1024 * 1024
#: The longest hiding, in seconds: SQS counts its 12 hours from the receive on, which lies at most
#: one invocation back.
MAX_HIDDEN = 12 * 60 * 60 - 15 * 60
#: The largest message sent; a longer description is left out, the worker reads the row anyway.
MAX_MESSAGE_BYTES = 256 * 1024
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to send: it is to be seen in ``delay`` seconds."""

    id: int
    title: str
    description: str | None
    delay: float = 0.0

    def body(self) -> str:
        """Return the message's text: plain ASCII, so no character in it is forbidden."""
        full = {"task_id": self.id, "title": self.title, "description": self.description}
        text = json.dumps(full)
        if len(text) <= MAX_MESSAGE_BYTES:
            return text
        return json.dumps(full | {"description": None, "truncated": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One received message, as the worker needs it."""

    id: str
    receipt: str
    task_id: int
    receive_count: int
    trace_id: str | None
    body: str

    @classmethod
    def from_record(cls, record: dict[str, Any], *, readable: bool = True) -> Message:
        """Read one record of the Lambda event.

        Raises UnreadableMessage when its body names no task; with ``readable=False`` the body
        is not looked at and ``task_id`` is 0.
        """
        attributes = record.get("attributes") or {}
        return cls(
            id=record["messageId"],
            receipt=record["receiptHandle"],
            task_id=_task_id(record["body"]) if readable else 0,
            receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
            trace_id=attributes.get("AWSTraceHeader"),
            body=record["body"],
        )


class TaskQueue:
    """An SQS queue of tasks and its dead-letter queue. Every method may be called by any thread."""

    def __init__(self, client: Callable[[], Any], name: str, dead_letter_name: str) -> None:
        """Take what makes a boto3 SQS client, called on first use, and the two queues' names."""
        self._client = client
        self._name = name
        self._dead_letter_name = dead_letter_name
        self._urls: dict[str, str] = {}

    def send(self, letters: Sequence[Letter]) -> None:
        """Send every letter.

        Raises QueueUnavailable with ``unsent``, the ids SQS is not known to have accepted.
        """
        waiting = {letter.id for letter in letters}
        try:
            for entries in _batches(letters):
                reply = self._call("send_message_batch", self._name, Entries=entries)
                waiting -= {int(entry["Id"]) for entry in reply.get("Successful", ())}
        except QueueUnavailable as error:
            raise QueueUnavailable(str(error), unsent=sorted(waiting)) from error.__cause__
        if waiting:
            raise QueueUnavailable("SQS did not accept every message.", unsent=sorted(waiting))

    def hide(self, messages: Iterable[tuple[Message, float]]) -> None:
        """Make each message visible again that many seconds from now (0: at once)."""
        entries = [
            {
                "ReceiptHandle": message.receipt,
                "VisibilityTimeout": min(MAX_HIDDEN, max(0, math.ceil(seconds))),
            }
            for message, seconds in messages
        ]
        self._each("change_message_visibility_batch", entries)

    def delete(self, messages: Iterable[Message]) -> None:
        """Delete each message; one that is gone already is no error."""
        self._each("delete_message_batch", [{"ReceiptHandle": m.receipt} for m in messages])

    def bury(self, messages: Sequence[Message]) -> None:
        """Move each message to the dead-letter queue ourselves."""
        for message in messages:
            self._call("send_message", self._dead_letter_name, MessageBody=message.body)
            self.delete([message])

    def depth(self) -> int:
        """Return about how many messages there are: visible, in flight and delayed."""
        counts = ["", "NotVisible", "Delayed"]
        names = [f"ApproximateNumberOfMessages{count}" for count in counts]
        reply = self._call("get_queue_attributes", self._name, AttributeNames=names)
        return sum(int(reply["Attributes"][name]) for name in names)

    def _each(self, operation: str, entries: list[dict[str, Any]]) -> None:
        for start in range(0, len(entries), MAX_ENTRIES):
            some = entries[start : start + MAX_ENTRIES]
            numbered = [{"Id": str(number), **entry} for number, entry in enumerate(some)]
            reply = self._call(operation, self._name, Entries=numbered)
            for failure in reply.get("Failed", ()):
                logger.warning("queue_refused", extra={"call": operation, "code": failure["Code"]})

    def _call(self, operation: str, queue: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (cold start)

        try:
            client = self._client()
            if queue not in self._urls:
                self._urls[queue] = client.get_queue_url(QueueName=queue)["QueueUrl"]
            return getattr(client, operation)(QueueUrl=self._urls[queue], **arguments)
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailable(f"{type(error).__name__}: {error}") from error


def _batches(letters: Sequence[Letter]) -> Iterator[list[dict[str, Any]]]:
    entries: list[dict[str, Any]] = []
    size = 0
    for letter in letters:
        body = letter.body()
        if len(entries) == MAX_ENTRIES or size + len(body) > MAX_CALL_BYTES:
            yield entries
            entries, size = [], 0
        delay = math.ceil(letter.delay)
        entries.append({"Id": str(letter.id), "MessageBody": body, "DelaySeconds": delay})
        size += len(body)
    if entries:
        yield entries


def _task_id(body: str) -> int:
    try:
        task_id = json.loads(body)["task_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        task_id = None
    if type(task_id) is not int or not 1 <= task_id <= MAX_ID:
        raise UnreadableMessage
    return task_id
