"""Makes the tasks of schedules whose time has come; of two sweepers at once one does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chalicelib import moments
from chalicelib.errors import StoreUnavailable
from chalicelib.occurrences import LATE, Rhythm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from chalicelib.store import Due, DueStore, Schedule

logger = logging.getLogger(__name__)

#: Schedules looked at at once.
CHUNK = 100
#: What cannot be made is tried again so many seconds later, and does not stand before others.
PUT_OFF = 60.0 * 60


class Schedules:
    """What fires them."""

    def __init__(self, store: DueStore, attempts: Mapping[str, int]) -> None:
        """Take the room below, and the attempt limits of kinds that have their own."""
        self._store = store
        self._attempts = attempts

    def fire(self, may_go_on: Callable[[], bool]) -> Iterator[list[Due]]:
        """Yield the tasks that each schedule makes, stored, not sent; raises StoreUnavailable."""
        behind: list[int] = []  # has had its turn and more to catch up with
        more = True
        while more and may_go_on():
            due = self._store.due_schedules(behind, late=LATE, limit=CHUNK)
            more = len(due) == CHUNK
            for schedule in due:
                if not may_go_on():
                    return
                made, caught_up = self._fire(schedule)
                if not caught_up:
                    behind.append(schedule.id)
                yield made

    def _fire(self, schedule: Schedule) -> tuple[list[Due], bool]:
        try:
            times, next_at = _due(schedule)
            items = [self._item(schedule, time) for time in times]
            last_at = times[-1] if times else None
            made = self._store.fire_schedule(schedule, items, last_at=last_at, next_at=next_at)
        except StoreUnavailable:
            raise
        except Exception:  # zones and kinds change; the other schedules are to have their turns
            logger.exception("schedule_broken", extra={"schedule_id": schedule.id})
            self._store.put_off_schedule(schedule, PUT_OFF)
            return [], True
        for one in made:
            facts = {"task_id": one.task.id, "kind": one.task.kind}
            logger.info("task_created", extra=facts)
            logger.info("schedule_fired", extra=facts | {"schedule_id": schedule.id})
        return made, next_at is None or next_at > schedule.now

    def _item(self, schedule: Schedule, time: datetime) -> dict[str, Any]:
        task = schedule.task
        item = task | {
            "delay": 0,
            "tags": [*task.get("tags", []), f"schedule:{schedule.name}"],
            "unique_key": f"schedule/{schedule.id}/{moments.to_text(time)}",
            "unique_scope": "forever",
        }
        limit = self._attempts.get(task["kind"])
        return item if limit is None else item | {"attempt_limit": limit}


def _due(schedule: Schedule) -> tuple[list[datetime], datetime | None]:
    rhythm, next_at = Rhythm(schedule.cron, schedule.time_zone), schedule.next_at
    if next_at is None:
        return [], None
    return rhythm.due(next_at, schedule.now, catch_up=schedule.missed == "catch_up")
