"""Makes the tasks of schedules whose time has come; of two sweepers at once one does."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib import moments
from chalicelib.errors import StoreUnavailable
from chalicelib.occurrences import Rhythm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from chalicelib.store import Due, DueStore, Schedule

logger = logging.getLogger(__name__)

#: Schedules looked at at once.
CHUNK = 100
#: What cannot be computed is tried again so much later, and does not stand before others.
PUT_OFF = timedelta(hours=1)


class Schedules:
    """What fires them."""

    def __init__(self, store: DueStore, attempts: Mapping[str, int]) -> None:
        """Take the room below, and the attempt limits of kinds that have their own."""
        self._store = store
        self._attempts = attempts

    def fire(self, may_go_on: Callable[[], bool]) -> Iterator[list[Due]]:
        """Yield the tasks that each schedule makes, stored, not sent; raises StoreUnavailable."""
        more = True
        while more and may_go_on():
            due = self._store.due_schedules(limit=CHUNK)
            more = len(due) == CHUNK
            for schedule in due:
                if not may_go_on():
                    return
                yield self._fire(schedule)

    def _fire(self, schedule: Schedule) -> list[Due]:
        try:
            times, next_at = _due(schedule)
            items = [self._item(schedule, time) for time in times]
            last_at = times[-1] if times else None
            made = self._store.fire_schedule(schedule, items, last_at=last_at, next_at=next_at)
        except StoreUnavailable:
            raise
        except Exception:  # zones and kinds change; the other schedules are to have their turns
            logger.exception("schedule_broken", extra={"schedule_id": schedule.id})
            later = schedule.now + PUT_OFF
            return self._store.fire_schedule(schedule, [], last_at=None, next_at=later)
        for one in made:
            facts = {"task_id": one.task.id, "kind": one.task.kind}
            logger.info("task_created", extra=facts)
            logger.info("schedule_fired", extra=facts | {"schedule_id": schedule.id})
        return made

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
