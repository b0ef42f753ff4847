"""One HTTP request to a foreign host, over a connection to an address that was checked."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from chalicelib.errors import OutboundFailed
from chalicelib.outbound.deadline import connect, left, within
from chalicelib.outbound.target import NONE, Exempt, Target, check_url, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: How much of an answer's body is read, in bytes.
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; names of headers are in lower case. ``cut``: the body was longer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


def send(
    url: str,
    *,
    method: str = "POST",
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: float,
    exempt: Exempt = NONE,
    lookup: Callable[..., Any] = socket.getaddrinfo,
) -> Answer:
    """Ask a URL and return the answer, whatever its status; redirects are not followed.

    ``timeout`` is for all of it, in seconds; ``lookup`` asks the name server. Raises
    OutboundRefused for an address that is not to be asked, and OutboundFailed when there was no
    whole answer. Neither tells the URL.
    """
    target = check_url(url, exempt)
    deadline = time.monotonic() + timeout
    try:
        addresses = resolve(target, exempt, partial(within, deadline, lookup))
        with contextlib.closing(_connect(target, addresses, deadline)) as near:
            connection = http.client.HTTPConnection(target.host, target.port)
            line: Any = _Line(near, deadline)  # as much of a socket as is used
            connection.sock = line
            connection.request(method, target.path, body, {**headers, "Host": target.authority})
            return _read(connection.getresponse())
    except TimeoutError as error:
        raise OutboundFailed(f"There was no whole answer within {timeout:g} s.") from error
    except ssl.SSLCertVerificationError as error:
        raise OutboundFailed("The host's certificate does not prove who it is.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # a length below 0
        raise OutboundFailed(f"The request failed: {type(error).__name__}.") from error


class _Line:
    """A connection that no single read or write may keep beyond the deadline of all."""

    def __init__(self, near: socket.socket, deadline: float) -> None:
        self._socket = near
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._deadline))

    def sendall(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            self._socket.settimeout(left(self._deadline))
            rest = rest[self._socket.send(rest) :]

    def close(self) -> None:
        """Leave that to whoever connected: an answer may still be read."""


class _Reader(io.RawIOBase):
    def __init__(self, near: socket.socket, deadline: float) -> None:
        self._socket = near
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        self._socket.settimeout(left(self._deadline))
        return self._socket.recv_into(room)


def _connect(target: Target, addresses: Any, deadline: float) -> socket.socket:
    near = connect(addresses, target.port, deadline)
    return _secured(near, target, deadline) if target.tls else near


def _secured(near: socket.socket, target: Target, deadline: float) -> ssl.SSLSocket:
    try:
        near.settimeout(left(deadline))
        return _trust().wrap_socket(near, server_hostname=target.host.rstrip("."))
    except BaseException:
        near.close()
        raise


@cache
def _trust() -> ssl.SSLContext:
    # What it reads, the certificates of all authorities, takes longer than a request may.
    return ssl.create_default_context()


def _read(answer: http.client.HTTPResponse) -> Answer:
    body = answer.read(MAX_ANSWER + 1)
    if len(body) <= MAX_ANSWER and answer.length:
        raise http.client.IncompleteRead(body, answer.length)
    return Answer(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=body[:MAX_ANSWER],
        cut=len(body) > MAX_ANSWER,
    )
