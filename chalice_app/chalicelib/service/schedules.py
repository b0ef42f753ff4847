"""The desk for schedules, which serves one caller."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ScheduleRefused
from chalicelib.intake import check_scheduled
from chalicelib.occurrences import UNREADABLE, Rhythm
from chalicelib.schemas import ScheduledTask, SchedulePage, ScheduleView
from chalicelib.service.paging import fitting, read_cursor, write_cursor
from chalicelib.store import NEWEST

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.intake import Offer
    from chalicelib.registry import Registry
    from chalicelib.schemas import NewSchedule, ScheduleChanges, ScheduleQuery
    from chalicelib.store import Schedule, ScheduleStore

logger = logging.getLogger(__name__)

#: So many times to come are shown.
SHOWN = 5
#: How often a change is tried that the sweeper comes between.
TRIES = 5


class ScheduleDesk:
    """What one caller can do with schedules.

    Every method may raise StoreUnavailable, Unauthorized and Forbidden.
    """

    def __init__(self, store: ScheduleStore, registry: Registry, offer: Offer) -> None:
        """Take the rooms below, and what tasks may ask for."""
        self._store = store
        self._registry = registry
        self._offer = offer

    def create(self, new: NewSchedule) -> ScheduleView:
        """Store a schedule.

        Raises InvalidRequest for a task that POST /tasks would refuse, and ScheduleRefused for a
        name that is taken, or one schedule too many.
        """
        check_scheduled(self._registry, new.task, self._offer)
        now = self._store.read_time()
        columns = new.model_dump(exclude={"task"}) | {"task": new.task.columns()}
        made = self._store.insert_schedule(columns, _next(columns, now))
        logger.info("schedule_created", extra={"schedule_id": made.id, "kind": new.task.kind})
        return _view(made)

    def get(self, schedule_id: int) -> ScheduleView:
        """Return one schedule; raises ScheduleNotFound."""
        return _view(self._store.get_schedule(schedule_id))

    def find(self, query: ScheduleQuery) -> SchedulePage:
        """Return a page of schedules, newest first; raises InvalidRequest for a foreign cursor."""
        before = read_cursor("before", query.cursor, parameter="cursor") or NEWEST
        found = self._store.list_schedules(before=before, limit=query.limit + 1)
        items = list(fitting([_view(one) for one in found[: query.limit]]))
        place = (items[-1].created_at, items[-1].id) if len(found) > len(items) else None
        return SchedulePage(items=items, next_cursor=write_cursor("before", place))

    def update(self, schedule_id: int, changes: ScheduleChanges) -> ScheduleView:
        """Change a schedule; if its times are others, the next is computed anew, from now on.

        Raises ScheduleNotFound, and what ``create`` raises.
        """
        if changes.task is not None:
            check_scheduled(self._registry, changes.task, self._offer)
        columns = changes.columns()
        for _ in range(TRIES):
            was = self._store.get_schedule(schedule_id, scope="tasks:write")
            next_at = was.next_at
            whole = {"cron": was.cron, "time_zone": was.time_zone, "paused": was.paused}
            if any(columns.get(name, value) != value for name, value in whole.items()):
                next_at = _next(whole | columns, was.now)
            changed = self._store.update_schedule(was, columns, next_at)
            if changed is not None:
                facts = {"schedule_id": schedule_id, "fields": sorted(columns)}
                logger.info("schedule_changed", extra=facts)
                return _view(changed)
        raise ScheduleRefused("The schedule is changed by others all the time; try again.")

    def delete(self, schedule_id: int) -> None:
        """Delete a schedule; tasks that it made stay. Raises ScheduleNotFound."""
        self._store.delete_schedule(schedule_id)
        logger.info("schedule_deleted", extra={"schedule_id": schedule_id})


def _next(columns: dict[str, Any], now: datetime) -> datetime | None:
    if columns["paused"]:
        return None
    return Rhythm(columns["cron"], columns["time_zone"]).first(now)


def _shown(schedule: Schedule) -> list[datetime]:
    if schedule.next_at is None:
        return []
    rhythm = Rhythm(schedule.cron, schedule.time_zone)
    try:
        return [schedule.next_at, *rhythm.some(schedule.next_at, SHOWN - 1)]
    except UNREADABLE:  # known once; so that it can be seen and mended
        return []


def _view(schedule: Schedule) -> ScheduleView:
    # As it is shown by POST: with what was left out.
    task = ScheduledTask.model_construct(**schedule.task).model_dump()
    return ScheduleView(
        id=schedule.id,
        name=schedule.name,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        task=task,
        missed=schedule.missed,
        paused=schedule.paused,
        next=_shown(schedule),
        last_at=schedule.last_at,
        created_at=schedule.created_at,
        updated_at=schedule.updated_at,
    )
