"""The only room that knows SQS: sending, receiving, hiding, deleting, the shape of a message."""

from __future__ import annotations

from chalicelib.queue.message import MAX_ID, MAX_MESSAGE_BYTES, Letter, Message
from chalicelib.queue.of_tasks import TaskQueue
from chalicelib.queue.sqs import MAX_HIDDEN, Queue

__all__ = [
    "MAX_HIDDEN",
    "MAX_ID",
    "MAX_MESSAGE_BYTES",
    "Letter",
    "Message",
    "Queue",
    "TaskQueue",
]
