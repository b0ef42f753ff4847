"""What an answer means for the task that asked: it may be asked again, or it never will do."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from chalicelib.errors import GiveUp, RetryLater

if TYPE_CHECKING:
    from typing import NoReturn

    from chalicelib.outbound.call import Answer

#: Statuses that pass by, besides those from 500.
#: Source: RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4.
_PASSING = {408, 425, 429}
#: The longest wait that a host may ask for, in seconds.
MAX_PAUSE = 60 * 60


def raise_for(answer: Answer, *, gone: frozenset[int] | None = None) -> NoReturn:
    """Raise what an answer that was not hoped for means.

    RetryLater where the host may answer otherwise before long, in as many seconds as it asks for
    (an hour at most); else GiveUp. ``gone``: the only statuses that are final.
    """
    text = f"The host answered {answer.status}."
    final = answer.status not in _PASSING and answer.status < 500  # noqa: PLR2004
    if final if gone is None else answer.status in gone:
        raise GiveUp(text)
    raise RetryLater(text, seconds=_pause(answer))


def _pause(answer: Answer) -> float | None:
    told = answer.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdecimal():
        return float(min(int(told[:9]), MAX_PAUSE))
    try:
        # By the host's clock alone, since ours may go otherwise.
        until, now = parsedate_to_datetime(told), parsedate_to_datetime(answer.headers["date"])
        return min(max((until - now).total_seconds(), 0.0), MAX_PAUSE)
    except (KeyError, TypeError, ValueError):
        return None
