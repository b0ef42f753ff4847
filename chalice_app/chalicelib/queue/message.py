"""What is sent and what is received: the shape of a message."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.errors import UnreadableMessage
from chalicelib.tracing import AWS_TRACE_HEADER, TRACEPARENT, id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The largest message sent; a longer description is left out, the worker reads the row anyway.
MAX_MESSAGE_BYTES = 256 * 1024
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to send for a tenant's task: it is to be seen in ``delay`` seconds."""

    id: int
    title: str
    description: str | None
    tenant: str
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
    """One received message, as the worker needs it; ``trace`` holds its sender's trace headers."""

    id: str
    receipt: str
    task_id: int
    receive_count: int
    trace_id: str | None
    body: str
    trace: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: dict[str, Any], *, readable: bool = True) -> Message:
        """Read one record of the Lambda event.

        Raises UnreadableMessage when its body names no task; with ``readable=False`` the body
        is not looked at and ``task_id`` is 0.
        """
        attributes = record.get("attributes") or {}
        trace = _trace(attributes, record.get("messageAttributes") or {})
        return cls(
            id=record["messageId"],
            receipt=record["receiptHandle"],
            task_id=_task_id(record["body"]) if readable else 0,
            receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
            trace_id=id_of(trace),
            body=record["body"],
            trace=trace,
        )


def attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what sends trace headers along with a message; no quota counts the one of AWS.

    Source: AWS X-Ray Developer Guide, "Amazon SQS and AWS X-Ray".
    """
    found: dict[str, Any] = {}
    for name, text in headers.items():
        sort = "MessageSystemAttributes" if name == AWS_TRACE_HEADER else "MessageAttributes"
        found.setdefault(sort, {})[name] = {"DataType": "String", "StringValue": text}
    return found


def _trace(system: dict[str, Any], ours: dict[str, Any]) -> dict[str, str]:
    told = {
        AWS_TRACE_HEADER: system.get(AWS_TRACE_HEADER),
        TRACEPARENT: ours.get(TRACEPARENT, {}).get("stringValue"),
    }
    return {name: text for name, text in told.items() if text}


def _task_id(body: str) -> int:
    try:
        task_id = json.loads(body)["task_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        task_id = None
    if type(task_id) is not int or not 1 <= task_id <= MAX_ID:
        raise UnreadableMessage
    return task_id
