"""Waiting until tasks are final, by requests that the service holds back."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from tasks_client import backoff, calls, clock, inputs
from tasks_client.errors import NotFinished
from tasks_client.models import Progress, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks_client.transport import Transport

LOOK_AGAIN = 1.0  #: seconds between two looks, where the service names no other
LONGEST_PAUSE = 10.0  #: seconds between two looks
SHARE = 4  #: times as long as a look at many tasks took is the pause after it


def until_final(transport: Transport, task_id: int, timeout: float | None) -> Task:
    """Return the task when it is final; raises NotFinished after ``timeout`` seconds."""
    deadline = _deadline(timeout)
    seen = None
    while True:
        seen = _watch(transport, task_id, seen, deadline)
        if seen.is_final:
            return seen
        if clock.now() >= deadline:
            raise NotFinished(f"task {task_id} is still {seen.status}", [seen])


def each_until_final(
    transport: Transport,
    ids: Iterable[int],
    timeout: float | None,
    on_progress: Callable[[Progress], Any],
) -> list[Task]:
    """Return the tasks in the order asked; raises NotFinished after ``timeout`` seconds.

    They are waited for one after the other, which takes no longer and needs few requests. When the
    time is over, each of the others is looked at once more, to tell which are not finished.
    """
    deadline = _deadline(timeout)
    wanted = list(ids)
    done: list[Task] = []
    late: list[NotFinished] = []
    counts: Counter[str] = Counter()
    on_progress(Progress.of(counts, len(wanted)))
    for task_id in wanted:
        left = None if timeout is None else max(0.0, deadline - clock.now())
        try:
            done.append(until_final(transport, task_id, left))
        except NotFinished as error:
            late.append(error)
            continue
        counts[done[-1].status] += 1
        on_progress(Progress.of(counts, len(wanted)))
    if late:
        raise _together(late, len(wanted))
    return done


def _together(late: list[NotFinished], asked: int) -> NotFinished:
    if len(late) == 1:
        return late[0]
    tasks = [task for error in late for task in error.unfinished]
    return NotFinished(f"{len(tasks)} of {asked} tasks are not finished", tasks)


def tagged_until_final(
    transport: Transport, tag: str, timeout: float | None, on_progress: Callable[[Progress], Any]
) -> list[Task]:
    """Return all tasks with the tag, oldest first; raises NotFinished after ``timeout`` seconds.

    Ends with a look at all of them that found none open, so that tasks which were created or
    retried meanwhile are waited for too.
    """
    deadline = _deadline(timeout)
    known: dict[int, Task] = {}
    oldest = 0  # of the open ones: those before it need no second look
    while True:
        begun = clock.now()
        # What is not found again was deleted.
        known = {key: task for key, task in known.items() if key < oldest}
        known |= _tagged_since(transport, tag, oldest)
        unfinished = [known[key] for key in sorted(known) if not known[key].is_final]
        on_progress(Progress.of(Counter(task.status for task in known.values()), len(known)))
        if not unfinished and not oldest:
            return [known[key] for key in sorted(known)]
        oldest = unfinished[0].id if unfinished else 0
        if unfinished:
            _rest(len(known), unfinished, begun, deadline)


def _tagged_since(transport: Transport, tag: str, oldest: int) -> dict[int, Task]:
    found: dict[int, Task] = {}
    for task in calls.every(transport, {"tag": tag}):
        if task.id < oldest:
            break
        found[task.id] = task
    return found


def _rest(known: int, unfinished: list[Task], begun: float, deadline: float) -> None:
    now = clock.now()
    if now >= deadline:
        raise NotFinished(f"{len(unfinished)} of {known} tasks are not finished", unfinished)
    pause = min(LONGEST_PAUSE, max(LOOK_AGAIN, SHARE * (now - begun)))
    clock.sleep(min(pause, deadline - now))


def _watch(transport: Transport, task_id: int, seen: Task | None, deadline: float) -> Task:
    begun = clock.now()
    hold = inputs.hold(deadline - begun)
    task, reply = calls.look(transport, task_id, hold, seen)
    changed = seen is not None and task != seen
    now = clock.now()
    if not task.is_final and not changed and now - begun < max(hold, LOOK_AGAIN):
        # The answer was not held back, so the next one would not be either. Retry-After may be
        # the time until a task is due, and it can be cancelled before.
        pause = backoff.retry_after(reply.headers.get("Retry-After")) or LOOK_AGAIN
        clock.sleep(max(0.0, min(pause, LONGEST_PAUSE, deadline - now)))
    return task


def _deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else clock.now() + timeout
