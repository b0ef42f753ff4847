"""The statements about schedules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ScheduleNotFound, ScheduleRefused
from chalicelib.store.found import refusal
from chalicelib.store.rows import follow_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.access import Caller, Scope
    from chalicelib.db import Rows
    from chalicelib.settings import Settings
    from chalicelib.store.found import Place
    from chalicelib.store.rows import Due

#: Schedules of one tenant.
MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is kept; ``now`` is when it was read. ``task`` is what POST /tasks takes."""

    id: int
    tenant: str
    name: str
    cron: str
    time_zone: str
    task: dict[str, Any]
    missed: str
    paused: bool
    next_at: datetime | None
    last_at: datetime | None
    created_at: datetime
    updated_at: datetime | None
    now: datetime


class ScheduleStore:
    """The schedules of one tenant.

    Every method may raise StoreUnavailable, Unauthorized and Forbidden.
    """

    def __init__(self, query: Callable[..., Rows], settings: Settings, caller: Caller) -> None:
        """Take what runs a named statement, and who asks."""
        self._run = query
        self._settings = settings
        self._caller = caller

    def read_time(self) -> datetime:
        """Return what time it is by the database's clock, to who may write tasks."""
        now: datetime = self._query("read_time")[0]["now"]
        return now

    def insert_schedule(self, columns: dict[str, Any], next_at: datetime | None) -> Schedule:
        """Store a schedule; raises ScheduleRefused for a name that is taken, or one too many."""
        values = columns | {"task": _text(columns["task"])}
        [row] = self._query("insert_schedule", **values, next_at=next_at, most=MOST)
        return _checked(row, 0)

    def get_schedule(self, schedule_id: int, *, scope: Scope = "tasks:read") -> Schedule:
        """Return one schedule, to a key with this scope; raises ScheduleNotFound."""
        [row] = self._query("get_schedule", id=schedule_id, scope=scope)
        return _checked(row, schedule_id)

    def list_schedules(self, *, before: Place, limit: int) -> list[Schedule]:
        """Return up to ``limit`` schedules, newest first, of those before the place ``before``."""
        at, number = before
        rows = self._query("list_schedules", before=at, before_id=number, limit=limit)
        return [_read(row) for row in rows if row["id"] is not None]

    def update_schedule(
        self, was: Schedule, columns: dict[str, Any], next_at: datetime | None
    ) -> Schedule | None:
        """Change a schedule, if it is still as it was; else return None.

        Raises ScheduleNotFound, and ScheduleRefused for a name that is taken.
        """
        values = {name: columns.get(name) for name in ("name", "cron", "time_zone", "missed")}
        values |= {"paused": columns.get("paused"), "task": None}
        if "task" in columns:
            values["task"] = _text(columns["task"])
        version = was.updated_at or was.created_at
        [row] = self._query(
            "update_schedule", id=was.id, version=version, next_at=next_at, **values
        )
        return None if row["obstacle"] == "stale" else _checked(row, was.id)

    def delete_schedule(self, schedule_id: int) -> None:
        """Delete a schedule; raises ScheduleNotFound."""
        [row] = self._query("delete_schedule", id=schedule_id)
        if row["id"] is None:
            raise _absent(schedule_id)

    def _query(self, name: str, /, **arguments: Any) -> Rows:
        rows = self._run(name, **self._caller.proof(), **arguments)
        if rows[0]["refusal"] is not None:
            raise refusal(rows[0], self._settings)
        return rows


class DueStore:
    """The schedules of every tenant that are due. Every method may raise StoreUnavailable."""

    def __init__(self, query: Callable[..., Rows], settings: Settings) -> None:
        """Take what runs a named statement, and the protocol's times."""
        self._query = query
        self._settings = settings

    def due_schedules(
        self, others_than: Sequence[int] = (), *, late: float, limit: int
    ) -> list[Schedule]:
        """Return up to ``limit`` schedules whose time has come, the longest overdue first.

        Those that catch up with what is more than ``late`` seconds old come after all others.
        """
        others = list(others_than)
        rows = self._query("due_schedules", others_than=others, late=late, limit=limit)
        return [_read(row) for row in rows]

    def put_off_schedule(self, schedule: Schedule, seconds: float) -> None:
        """Let a schedule be as it is for some time, unless it is changed."""
        was = schedule.next_at
        self._query("put_off_schedule", id=schedule.id, was=was, seconds=seconds)

    def fire_schedule(
        self,
        schedule: Schedule,
        items: Sequence[dict[str, Any]],
        *,
        last_at: datetime | None,
        next_at: datetime | None,
    ) -> list[Due]:
        """Move a schedule on and store the tasks that it makes, if nobody has; return these.

        ``items`` as in ClientStore.insert_tasks. ``last_at`` is the time of the last of them.
        """
        rows = self._query(
            "fire_schedule",
            id=schedule.id,
            was=schedule.next_at,
            last_at=last_at,
            next_at=next_at,
            items=_text(items),
            attempt_limit=self._settings.attempt_limit,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return [follow_up(row) for row in rows]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _checked(row: dict[str, Any], schedule_id: int) -> Schedule:
    match row.get("obstacle"):
        case "name":
            raise ScheduleRefused("There is a schedule of that name already.")
        case "many":
            raise ScheduleRefused(f"There are {MOST:,} schedules, and may be no more.")
        case _:
            pass
    if row["id"] is None:
        raise _absent(schedule_id)
    return _read(row)


def _read(row: dict[str, Any]) -> Schedule:
    return Schedule(**{name: row[name] for name in Schedule.__slots__})


def _absent(schedule_id: int) -> ScheduleNotFound:
    return ScheduleNotFound(f"There is no schedule {schedule_id}.")
