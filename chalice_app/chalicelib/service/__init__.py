"""What the HTTP API can do.

``tasks`` is the desk that serves one caller; ``paging`` cuts lists into pages, ``waiting`` waits
for a task to change, ``attempts`` tells of a task's attempts, ``stats`` of all tasks, ``kinds``
which kinds there are. ``schedules`` makes tasks again and again, ``limits`` is
where operators hold kinds back. ``admin`` serves them without
HTTP: ``keys`` makes and ends keys, ``diagnosis`` looks how the service fares, ``webhooks`` tells
what they are signed by.
"""

from __future__ import annotations

from chalicelib.service.admin import AdminDesk
from chalicelib.service.diagnosis import Diagnosis
from chalicelib.service.keys import KeyService
from chalicelib.service.limits import LimitDesk
from chalicelib.service.schedules import ScheduleDesk
from chalicelib.service.tasks import TaskService
from chalicelib.service.webhooks import WebhookDesk, offer_of

__all__ = [
    "AdminDesk",
    "Diagnosis",
    "KeyService",
    "LimitDesk",
    "ScheduleDesk",
    "TaskService",
    "WebhookDesk",
    "offer_of",
]
