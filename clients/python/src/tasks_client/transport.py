"""One call to the service, sent again while that does no harm and there is time."""

from __future__ import annotations

import itertools
import json
import ssl
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from tasks_client import backoff, clock
from tasks_client.errors import RateLimited, Unavailable, UnexpectedAnswer, Unreachable
from tasks_client.problems import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Value = TypeVar("Value")

TRY_LIMIT = 30.0  #: seconds for one try; API Gateway answers within 29
CONNECT_LIMIT = 5.0  #: seconds
PASSING = frozenset({429, 502, 503, 504})
NOT_MODIFIED = 304
#: Nothing of the request can have arrived.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Repeat(Enum):
    """When a call may be sent again."""

    ALWAYS = auto()  #: twice is the same as once
    UNDONE = auto()  #: only after a try that the service cannot have carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request; the service was asked to hold its answer back for ``hold`` seconds."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeat: Repeat = Repeat.ALWAYS
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: httpx.Headers
    content: bytes

    def read(self, reader: Callable[[Any], Value]) -> Value:
        """Return what ``reader`` makes of the JSON; raises UnexpectedAnswer if that fails."""
        try:
            return reader(json.loads(self.content))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(
                f"the answer ({self.status}) is not what this client understands: {error!r}"
            ) from error


class Transport:
    """Sends calls; may be shared by threads, as httpx.Client may."""

    def __init__(self, http: httpx.Client, timeout: float) -> None:
        """``timeout`` is in seconds, for one call with all its tries."""
        self._http = http
        self._timeout = timeout

    def ask(self, call: Call) -> Reply:
        """Return the answer of the last try, if it is a success or 304; else raises TasksError.

        The error is ``in_doubt`` if any try may have been carried out.
        """
        deadline = clock.now() + self._timeout + call.hold
        in_doubt = False
        for tries in itertools.count(1):
            try:
                return self._try(call, deadline, in_doubt=in_doubt)
            except (RateLimited, Unavailable) as error:
                undone = isinstance(error, RateLimited) or not error.in_doubt
                in_doubt = error.in_doubt = in_doubt or not undone
                wait = backoff.pause(tries, error.retry_after)
                may = call.repeat is Repeat.ALWAYS or undone
                if not may or clock.now() + wait >= deadline or not _passes(error):
                    raise
            clock.sleep(wait)
        raise AssertionError  # count never ends

    def _try(self, call: Call, deadline: float, *, in_doubt: bool) -> Reply:
        reply = self._send(call, deadline)
        if httpx.codes.is_success(reply.status) or reply.status == NOT_MODIFIED:
            return reply
        raise error_of(reply.status, reply.headers, reply.content, in_doubt=in_doubt)

    def _send(self, call: Call, deadline: float) -> Reply:
        limit = max(0.001, min(deadline - clock.now(), TRY_LIMIT + call.hold))
        try:
            with self._http.stream(
                call.method,
                call.path,
                params=call.query,
                headers=call.headers,
                content=call.body,
                timeout=httpx.Timeout(limit, connect=min(limit, CONNECT_LIMIT)),
            ) as response:
                content = b"".join(_until(deadline, response.iter_bytes()))
                return Reply(response.status_code, response.headers, content)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except httpx.RequestError as error:
            raise UnexpectedAnswer(f"the answer cannot be read: {error}") from error

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        why = str(error) or type(error).__name__
        made = Unreachable(f"no answer from {self._http.base_url}: {why}")
        made.in_doubt = not isinstance(error, _UNSENT)
        return made


def _until(deadline: float, parts: Iterable[bytes]) -> Iterator[bytes]:
    # A limit for each read alone would let an answer drip for ever.
    for part in parts:
        if clock.now() > deadline:
            raise httpx.ReadTimeout("the answer took too long")
        yield part


def _passes(error: BaseException | None) -> bool:
    # A certificate that is not trusted now will not be in a second.
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError | httpx.LocalProtocolError):
            return False
        error = error.__cause__ or error.__context__
    return True
