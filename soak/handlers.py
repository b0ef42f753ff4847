"""Registers the kind ``soak`` with the service, from outside it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp, Snooze
from chalicelib.registry import Context, handler
from soak.work import BEAT, SLOWLY, effects, ending, result

if TYPE_CHECKING:
    from chalicelib.task import Task

KIND = "soak"
_ZOMBIE = float(os.environ["SOAK_ZOMBIE"])


@handler(KIND)
def soak(task: Task, context: Context) -> dict[str, Any]:
    """Leave an effect, then end as the seed decides; "overtime" ends with an interruption.

    Raises GiveUp, Snooze, ValueError for an attempt that is to be repeated, and whatever a
    heartbeat does.
    """
    run = effects.leave(task.id, task.attempt, context.remaining)
    end = ending(int(os.environ["SOAK_SEED"]), task.id, task.attempt)
    time.sleep(end.seconds)
    match end.name:
        case "transient":
            raise ValueError("it did not work this time")
        case "permanent":
            raise GiveUp("it never will work")
        case "snooze":
            raise Snooze(0.5)
        case "slow":
            _work_slowly(context, SLOWLY)
        case "overtime":
            time.sleep(context.remaining())
        case "successor":
            _hear_no_alarm()
            _work_slowly(context, _ZOMBIE)
        case "zombie":
            _hear_no_alarm()
            time.sleep(context.remaining() + _ZOMBIE)
    return result(task.id, task.attempt, run)


def _hear_no_alarm() -> None:
    # As if the machine had stood still: the worker comes to itself when all is over.
    signal.setitimer(signal.ITIMER_REAL, 0)


def _work_slowly(context: Context, seconds: float) -> None:
    for _ in range(round(seconds / BEAT)):
        time.sleep(BEAT)
        context.heartbeat()
