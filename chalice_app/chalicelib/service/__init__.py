"""What the HTTP API can do.

``tasks`` is the desk that serves one caller; ``posting`` hands tasks to the queue, ``paging`` cuts
lists into pages, ``waiting`` waits for a task to change, ``attempts`` tells of a task's attempts,
``stats`` of all tasks. ``checks`` holds requests to what only the service knows, ``kinds`` tells
which kinds of tasks there are. ``admin`` serves operators: ``keys`` makes and ends keys,
``diagnosis`` looks how the service fares, ``webhooks`` tells what they are signed by.
"""

from __future__ import annotations

from chalicelib.service.admin import AdminDesk
from chalicelib.service.diagnosis import Diagnosis
from chalicelib.service.keys import KeyService
from chalicelib.service.tasks import TaskService
from chalicelib.service.webhooks import WebhookDesk, callbacks

__all__ = [
    "AdminDesk",
    "Diagnosis",
    "KeyService",
    "Post",
    "TaskService",
    "WebhookDesk",
    "callbacks",
]
