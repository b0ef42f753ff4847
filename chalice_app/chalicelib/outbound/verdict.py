"""Asks on behalf of a task, and says what comes of it: ask again later, or give up."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from chalicelib.errors import GiveUp, OutboundFailed, OutboundRefused, RetryLater
from chalicelib.outbound.call import send
from chalicelib.outbound.target import Exempt

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from chalicelib.outbound.call import Answer

#: Statuses that pass by, besides those from 500.
#: Source: RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4.
_PASSING = {408, 425, 429}
#: The longest wait that a host may ask for, in seconds.
MAX_PAUSE = 60 * 60
#: The time that is left to end the attempt in, in seconds.
REST = 1.0


def ask(
    url: str, *, named: str, allowed: str, seconds: float, remaining: float, **request: Any
) -> Answer:
    """Return the answer of a URL, whatever its status; ``request`` is what ``call.send`` takes.

    It takes so many ``seconds`` at most, and no more than the attempt has ``remaining``.
    ``allowed`` is the setting OUTBOUND_ALLOW; ``named``, what the client calls the URL. Raises
    GiveUp for an address that is not to be asked, and RetryLater where there is no whole answer.
    """
    timeout = min(seconds, max(remaining - REST, 0.1))
    try:
        return send(url, timeout=timeout, exempt=Exempt.parse(allowed), **request)
    except OutboundRefused as error:
        raise GiveUp(f"The {named} {error}.") from None
    except OutboundFailed as error:
        raise RetryLater(str(error)) from error


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
