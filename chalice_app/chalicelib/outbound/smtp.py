"""A conversation with an SMTP server that ends at a deadline, however slowly it goes."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from chalicelib.outbound.deadline import connect, cut, left, within

if TYPE_CHECKING:
    from urllib.parse import SplitResult

#: Seconds for one step of a conversation.
_PATIENCE = 10.0


def conversation(url: str, seconds: float) -> smtplib.SMTP:
    """Return the server that an EMAIL_URL names: TLS is begun and the user logged in.

    ``seconds`` is for all that is said with it. Raises what smtplib does.
    """
    parts = urlsplit(url)
    server = _Server(parts, time.monotonic() + seconds, ssl.create_default_context())
    try:
        server.secure()
    except BaseException:
        server.close()
        raise
    return server


class _Server(smtplib.SMTP):
    def __init__(self, parts: SplitResult, deadline: float, trust: ssl.SSLContext) -> None:
        self._parts = parts
        self._deadline = deadline
        self._trust = trust
        self._until = ExitStack()
        port = parts.port or (smtplib.SMTP_SSL_PORT if parts.scheme == "smtps" else 587)
        here = within(deadline, socket.getfqdn)
        super().__init__(parts.hostname or "", port, local_hostname=here, timeout=_PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = within(self._deadline, socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        near = connect([str(entry[4][0]) for entry in found], port, self._deadline)
        try:
            self._until.enter_context(cut(near, self._deadline))
            near.settimeout(min(timeout, left(self._deadline)))
            if self._parts.scheme == "smtps":
                return self._trust.wrap_socket(near, server_hostname=host)
        except BaseException:
            self._until.close()
            near.close()
            raise
        return near

    def close(self) -> None:
        self._until.close()
        super().close()

    def secure(self) -> None:
        if self._parts.scheme == "smtp":
            self.ehlo()
            # A password is never said in the clear: without TLS this is refused.
            if self._parts.username or self.has_extn("starttls"):
                self.starttls(context=self._trust)
        if self._parts.username:
            self.login(unquote(self._parts.username), unquote(self._parts.password or ""))
