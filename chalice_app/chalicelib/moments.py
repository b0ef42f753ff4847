"""Moments as whole microseconds since 1970: PostgreSQL keeps no finer ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_number(moment: datetime) -> int:
    """Return the microseconds from 1970 to ``moment``, which is timezone-aware."""
    return (moment - _EPOCH) // _MICROSECOND


def from_number(number: int) -> datetime:
    """Return the moment so many microseconds after the beginning of 1970, in UTC."""
    return _EPOCH + number * _MICROSECOND


def to_text(moment: datetime) -> str:
    """Return the moment as ISO 8601 has it, in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
