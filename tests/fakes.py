"""Stand-ins that keep the rules of what they stand for."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.errors import QueueUnavailable, UnreadableMessage
from chalicelib.logs import JsonLines
from chalicelib.queue import MAX_HIDDEN, Letter, Message, TaskQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.db import Rows


class FakeContext:
    """What Lambda tells a function of its invocation; ``seconds`` remain."""

    aws_request_id = "request-1"
    function_name = "worker"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:worker"

    def __init__(self, seconds: float = 50) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def record(body: str, *, receives: int = 1, name: str = "m", trace: str | None = None) -> Any:
    """Return one record of a Lambda event."""
    attributes = {"ApproximateReceiveCount": str(receives)}
    if trace:
        attributes["AWSTraceHeader"] = trace
    return {
        "messageId": name,
        "receiptHandle": f"receipt-{name}",
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


@dataclass(slots=True)
class Stored:
    """One message that the fake queue holds."""

    id: str
    body: str
    visible_at: float
    tenant: str | None = None
    receives: int = 0
    receipts: set[str] = field(default_factory=set)


class FakeQueue(TaskQueue):
    """A queue in memory, with its dead-letter queue, whose clock is moved by hand.

    ``away`` lets every call fail; ``refused`` are ids of tasks whose letters are not accepted.
    """

    letters: FakeQueue

    def __init__(
        self, *, visibility: float = 360, max_receives: int = 3, owner: FakeQueue | None = None
    ) -> None:
        self.visibility = visibility
        self.max_receives = max_receives
        self.now = 0.0
        self.away = False
        self.refused: set[int] = set()
        self.sent: list[Letter] = []
        self.stored: list[Stored] = []
        self._owner = owner
        self._numbers = itertools.count(1)
        if owner is None:
            self.letters = FakeQueue(max_receives=sys.maxsize, owner=self)

    @property
    def dead(self) -> list[str]:
        """The bodies on the dead-letter queue."""
        return [one.body for one in self.letters.stored]

    def send(self, letters: Sequence[Letter]) -> None:
        ids = [letter.id for letter in letters]
        self._ask(unsent=ids)
        for letter in letters:
            if letter.id not in self.refused:
                self.sent.append(letter)
                self._put(letter.body(), letter.delay, letter.tenant)
        if unsent := [number for number in ids if number in self.refused]:
            raise QueueUnavailable("SQS did not accept every message.", unsent=unsent)

    def hide(self, messages: Iterable[tuple[Message, float]]) -> None:
        self._ask()
        for message, seconds in messages:
            for stored in self._held(message):
                stored.visible_at = self.now + min(MAX_HIDDEN, max(0.0, seconds))

    def delete(self, messages: Iterable[Message]) -> None:
        self._ask()
        for message in messages:
            for stored in self._held(message):
                self.stored.remove(stored)

    def bury(self, messages: Sequence[Message]) -> None:
        self._ask()
        for message in messages:
            self.letters.put(message.body)
        self.delete(messages)

    def depth(self) -> int:
        self._ask()
        return len(self.stored)

    def put(self, body: str) -> None:
        """Send any text, as somebody else might."""
        self._put(body, 0)

    def _put(self, body: str, delay: float, tenant: str | None = None) -> None:
        self.stored.append(Stored(f"m{next(self._numbers)}", body, self.now + delay, tenant))

    def receive(self, most: int = 10) -> list[dict[str, Any]]:
        """Receive what is visible, as records of a Lambda event."""
        records: list[dict[str, Any]] = []
        for stored in [one for one in self.stored if one.visible_at <= self.now]:
            if stored.receives >= self.max_receives:
                self.letters.put(stored.body)
                self.stored.remove(stored)
            elif len(records) < most:
                stored.receives += 1
                stored.visible_at = self.now + self.visibility
                made = record(stored.body, receives=stored.receives, name=stored.id)
                made["receiptHandle"] = f"{stored.id}#{stored.receives}"
                if stored.tenant:
                    made["attributes"]["MessageGroupId"] = stored.tenant
                stored.receipts.add(made["receiptHandle"])
                records.append(made)
        return records

    def receive_messages(self, *, hidden_for: int) -> list[Message]:
        self._ask()
        received = []
        for made in self.receive():
            try:
                received.append(Message.from_record(made))
            except UnreadableMessage:
                received.append(Message.from_record(made, readable=False))
        self.hide((message, hidden_for) for message in received)
        return received

    def hidden_for(self) -> list[float]:
        """Return for how many seconds each message stays hidden."""
        return [stored.visible_at - self.now for stored in self.stored]

    def _held(self, message: Message) -> list[Stored]:
        return [one for one in self.stored if message.receipt in one.receipts]

    def _ask(self, **context: Any) -> None:
        if self.away or (self._owner and self._owner.away):
            raise QueueUnavailable("EndpointConnectionError: nobody is there", **context)


class Recorder:
    """Runs named statements, remembers their names, and fails them when told to."""

    def __init__(self, query: Callable[..., Rows]) -> None:
        self._query = query
        self.names: list[str] = []
        #: By statement: errors to raise, one a call, before (or, ``after``, once it was run).
        self.before: dict[str, list[BaseException]] = {}
        self.after: dict[str, list[BaseException]] = {}

    def __call__(self, name: str, /, **arguments: Any) -> Rows:
        self.names.append(name)
        if self.before.get(name):
            raise self.before[name].pop(0)
        rows = self._query(name, **arguments)
        if self.after.get(name):
            raise self.after[name].pop(0)
        return rows


class Heard(logging.Handler):
    """Keeps every record of a logger, with its extra facts, and the line that is written of it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(JsonLines().format(record))

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event, read."""
        return [line for line in map(json.loads, self.lines) if line["event"] == event]

    def events(self) -> list[str]:
        return [record.getMessage() for record in self.records]
