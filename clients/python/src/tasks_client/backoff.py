"""How long to wait before a request is sent again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST = 0.25  #: seconds, at most, before the second try
LONGEST = 8.0  #: seconds, at most, before any other


def pause(tries: int, retry_after: float | None) -> float:
    """Return the seconds to wait after ``tries`` tries, never less than ``retry_after``.

    The limit doubles with each try, and the pause is anywhere below it (full jitter), so that
    clients that failed together do not come back together.
    """
    limit = min(LONGEST, FIRST * 2.0 ** min(tries - 1, 30))
    return (retry_after or 0.0) + random.uniform(0, limit)


def retry_after(text: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3); None if it is neither."""
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
