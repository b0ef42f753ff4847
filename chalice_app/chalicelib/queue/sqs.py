"""SQS, one queue at a time."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

from chalicelib.errors import QueueUnavailable, UnreadableMessage
from chalicelib.queue.message import Letter, Message, attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Entries = list[dict[str, Any]]

logger = logging.getLogger(__name__)

#: Bounds of SQS. Source: Amazon SQS Developer Guide, "Message quotas".
MAX_ENTRIES = 10
MAX_CALL_BYTES = 1024 * 1024 - 1024  # less room for ten trace headers
#: Most calls at once when there are many messages to send.
SENDERS = 8
#: The longest hiding, in seconds: SQS counts its 12 hours from the receive on, which lies at most
#: one invocation back.
MAX_HIDDEN = 12 * 60 * 60 - 15 * 60


class Queue:
    """One SQS queue. Every method may be called by any thread and may raise QueueUnavailable."""

    def __init__(
        self,
        client: Callable[[], Any],
        name: str,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        fair: bool = False,
    ) -> None:
        """Take what makes a boto3 SQS client, called on first use, and the queue's name.

        ``headers`` is asked for the trace headers that go with what is sent. ``fair``: tenants
        are kept apart, so that one with many messages does not hold up the others. Source: Amazon
        SQS Developer Guide, "Amazon SQS fair queues".
        """
        self._client = client
        self._fair = fair
        self._name = name
        self._headers = headers
        self._url = ""

    def send(self, letters: Sequence[Letter]) -> None:
        """Send every letter.

        Raises QueueUnavailable with ``unsent``, the ids SQS is not known to have accepted.
        """
        batches = list(self._batches(letters))
        if len(batches) > 1:
            failures = self._send_batches(batches)
        else:  # no thread for what most calls are
            failures = [self._send_batch(entries) for entries in batches]
        errors = [failure for failure in failures if failure is not None]
        if errors:
            unsent = sorted(one for error in errors for one in error.context["unsent"])
            raise QueueUnavailable(str(errors[0]), unsent=unsent) from errors[0].__cause__

    def put(self, body: str) -> None:
        """Send any text."""
        self._call("send_message", MessageBody=body, **attributes(self._headers()))

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

    def receive_messages(self, *, hidden_for: int) -> list[Message]:
        """Receive up to ten messages, hidden from others for that many seconds.

        None may mean that the servers asked have none. The ``task_id`` of a message that names
        no task is 0.
        """
        reply = self._call(
            "receive_message",
            MaxNumberOfMessages=MAX_ENTRIES,
            VisibilityTimeout=hidden_for,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
        )
        return [_received(one) for one in reply.get("Messages", ())]

    def depth(self) -> int:
        """Return about how many messages there are: visible, in flight and delayed."""
        counts = ["", "NotVisible", "Delayed"]
        names = [f"ApproximateNumberOfMessages{count}" for count in counts]
        reply = self._call("get_queue_attributes", AttributeNames=names)
        return sum(int(reply["Attributes"][name]) for name in names)

    def _batches(self, letters: Sequence[Letter]) -> Iterator[Entries]:
        more = attributes(self._headers())
        entries: Entries = []
        size = 0
        for letter in letters:
            body = letter.body()
            if len(entries) == MAX_ENTRIES or size + len(body) > MAX_CALL_BYTES:
                yield entries
                entries, size = [], 0
            delay = math.ceil(letter.delay)
            entry = {"Id": str(letter.id), "MessageBody": body, "DelaySeconds": delay}
            group = {"MessageGroupId": letter.tenant} if self._fair else {}
            entries.append(entry | group | more)
            size += len(body)
        if entries:
            yield entries

    def _send_batches(self, batches: list[Entries]) -> list[QueueUnavailable | None]:
        # A call is mostly waiting for SQS. Once one failed the rest is not tried: each would wait
        # for its time to be up, and the caller with them.
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (cold start)

        down = threading.Event()

        def send(entries: Entries) -> QueueUnavailable | None:
            if down.is_set():
                return _unsent("SQS cannot be reached.", entries)
            error = self._send_batch(entries)
            if error is not None and error.__cause__ is not None:
                down.set()
            return error

        with ThreadPoolExecutor(min(SENDERS, len(batches))) as senders:
            return list(senders.map(send, batches))

    def _send_batch(self, entries: Entries) -> QueueUnavailable | None:
        try:
            if len(entries) == 1:
                [entry] = entries
                self._call("send_message", **{k: v for k, v in entry.items() if k != "Id"})
                return None
            reply = self._call("send_message_batch", Entries=entries)
        except QueueUnavailable as error:
            return _unsent(str(error), entries, error.__cause__)
        accepted = {entry["Id"] for entry in reply.get("Successful", ())}
        left = [entry for entry in entries if entry["Id"] not in accepted]
        return _unsent("SQS did not accept every message.", left) if left else None

    def _each(self, operation: str, entries: list[dict[str, Any]]) -> None:
        for start in range(0, len(entries), MAX_ENTRIES):
            some = entries[start : start + MAX_ENTRIES]
            numbered = [{"Id": str(number), **entry} for number, entry in enumerate(some)]
            reply = self._call(operation, Entries=numbered)
            for failure in reply.get("Failed", ()):
                logger.warning(
                    "queue_refused", extra={"call": operation, "aws_code": failure["Code"]}
                )

    def _call(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (cold start)

        try:
            client = self._client()
            if not self._url:
                self._url = client.get_queue_url(QueueName=self._name)["QueueUrl"]
            return getattr(client, operation)(QueueUrl=self._url, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailable(f"{type(error).__name__}: {error}") from error


def _unsent(message: str, entries: Entries, cause: BaseException | None = None) -> QueueUnavailable:
    error = QueueUnavailable(message, unsent=[int(entry["Id"]) for entry in entries])
    error.__cause__ = cause
    return error


def _received(one: dict[str, Any]) -> Message:
    record = {
        "messageId": one["MessageId"],
        "receiptHandle": one["ReceiptHandle"],
        "body": one["Body"],
        "attributes": one["Attributes"],
    }
    try:
        return Message.from_record(record)
    except UnreadableMessage:
        return Message.from_record(record, readable=False)
