"""What is sent and what is received: the shape of a message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.errors import UnreadableMessage

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


def _task_id(body: str) -> int:
    try:
        task_id = json.loads(body)["task_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        task_id = None
    if type(task_id) is not int or not 1 <= task_id <= MAX_ID:
        raise UnreadableMessage
    return task_id
