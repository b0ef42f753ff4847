"""When a schedule has tasks made: the times that a cron expression names in a time zone.

Pure: what time it is now is told by the database. An expression has five fields, as crontab(5) of
Debian has them: minute, hour, day of month, month, day of week. When clocks are changed, a time
that is left out comes right after, one that would come twice comes once, and what comes every hour,
or oftener, comes as the time passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A time that is found so many seconds late is a missed one: the sweeper was away.
LATE = 300.0
#: Most tasks that one look makes of a schedule that catches up.
MOST = 100
#: What a Rhythm raises whose zone or expression is no longer known.
UNREADABLE = (ZoneInfoNotFoundError, CronSimError)

_FIELDS = re.compile(r"\S+( \S+){4}")
#: Not what some systems have beside the zones: their own one, and copies with other clocks.
_NO_ZONE = r"(?!(posix|right)/|(localtime|posixrules|Factory)$)"
_ZONE = re.compile(rf"{_NO_ZONE}[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_SOME_TIME = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A cron expression in a time zone, both of which can be read."""

    cron: str
    time_zone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the times after ``moment``, in UTC; there may be an end."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        times = (time.astimezone(UTC) for time in CronSim(self.cron, local))
        # In the second of two same hours, CronSim tells what came in the first.
        yield from (time for time in times if time > moment)

    def first(self, moment: datetime) -> datetime | None:
        """Return the first time after ``moment``, if there is one."""
        return next(self.after(moment), None)

    def due(
        self, next_at: datetime, now: datetime, *, catch_up: bool
    ) -> tuple[list[datetime], datetime | None]:
        """Return the times from ``next_at`` to ``now`` to make tasks for, and the one after them.

        Those that are LATE are left out unless ``catch_up``; of these there are MOST at a time.
        """
        if not catch_up:
            next_at = max(next_at, self._not_late(next_at, now))
        times = [next_at] if next_at <= now else []
        if not times:
            return [], next_at
        for time in self.after(next_at):
            if time > now or len(times) == MOST:
                return times, time
            times.append(time)
        return times, None

    def _not_late(self, next_at: datetime, now: datetime) -> datetime:
        early_enough = now - timedelta(seconds=LATE)
        if next_at >= early_enough:
            return next_at
        return self.first(early_enough) or next_at

    def some(self, moment: datetime, many: int) -> list[datetime]:
        """Return the first ``many`` times after ``moment``, or as many as there are."""
        return list(islice(self.after(moment), many))


def check_cron(text: str) -> str:
    """Return a cron expression as it is; raises ValueError, saying what is wrong with it."""
    if not _FIELDS.fullmatch(text):
        raise ValueError(
            "must have five fields with one space between them, as in 30 6 * * MON-FRI"
        )
    try:
        first = next(CronSim(text, _SOME_TIME), None)
    except CronSimError as error:
        raise ValueError(f"cannot be read: {error}") from None
    if first is None:
        raise ValueError("names a time that never comes")
    return text


def check_zone(name: str) -> str:
    """Return the name of a time zone as it is; raises ValueError for one that is not known."""
    try:
        if _ZONE.fullmatch(name):
            ZoneInfo(name)
            return name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError("is no time zone's name, as Europe/Berlin or UTC is")
