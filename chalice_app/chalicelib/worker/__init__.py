"""What happens to one batch of messages.

claim   one statement takes the tasks that may be worked now and says how the others stand
run     one handler after the other, as long as there is time; an outcome for each
settle  one statement, as rarely as the waiting allows, writes what became of them
answer  every message is deleted, or kept and seen again when its task is due

``work`` claims, ``run`` makes an attempt with the ``powers`` that its handler has, ``alarm``
interrupts a handler whose time is over, ``threads`` makes attempts beside each other, ``settle``
writes many outcomes, ``complete`` one together with its effects; ``batch`` is what they hand to
each other, ``bench`` what they work with.
"""

from __future__ import annotations

from chalicelib.worker.alarm import Alarm, margin
from chalicelib.worker.batch import Invocation
from chalicelib.worker.bench import Bench
from chalicelib.worker.work import Worker

__all__ = ["Alarm", "Bench", "Invocation", "Worker", "margin"]
