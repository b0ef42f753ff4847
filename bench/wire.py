"""Counts at the wire what a contestant says to PostgreSQL and to SQS, and hears back."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

from localdev import processes

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536
# Source: PostgreSQL, "Message Formats": what comes before the start-up message itself.
_BEFORE_START = {80877103, 80877104}  # SSLRequest, GSSENCRequest
_QUERY, _EXECUTE = b"Q", b"E"


class Tally:
    """What was counted since it was last cleared. A round trip ends when the server answers."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.connections = self.statements = self.round_trips = 0

    def add(self, *, connections: int = 0, statements: int = 0, round_trips: int = 0) -> None:
        """Count; several connections may do so at once."""
        with self._lock:
            self.connections += connections
            self.statements += statements
            self.round_trips += round_trips


class Counter:
    """A listening port before a server's; ``tally`` has what passed, ``port`` is its own."""

    def __init__(self, port: int, *, postgres: bool) -> None:
        """Listen before ``port``; of a server that is not PostgreSQL no statements are counted."""
        self.tally = Tally()
        self._to, self._postgres = port, postgres
        self._listener = processes.listen()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.tally.add(connections=1)
                _Line(client, self._to, self.tally, Statements() if self._postgres else None)


class _Line:
    def __init__(
        self, client: socket.socket, port: int, tally: Tally, statements: Statements | None
    ) -> None:
        server = socket.create_connection((processes.HOST, port))
        self._asked = False
        self._tally, self._statements = tally, statements
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _begin(client, server, self._ask)
        _begin(server, client, self._answer)

    def _ask(self, data: bytes) -> None:
        self._asked = True
        if self._statements:
            self._tally.add(statements=self._statements.count(data))

    def _answer(self, _: bytes) -> None:
        if self._asked:
            self._asked = False
            self._tally.add(round_trips=1)


class Statements:
    """Finds the statements in what a client of PostgreSQL sends, however it is cut."""

    def __init__(self) -> None:
        """Begin before the start-up message."""
        self._rest = b""
        self._started = False

    def count(self, data: bytes) -> int:
        """Return how many more are complete with these bytes."""
        self._rest += data
        found = 0
        while (head := int(self._started)) + 4 <= len(self._rest):
            length = struct.unpack_from("!i", self._rest, head)[0] + head
            if len(self._rest) < length:
                break
            message, self._rest = self._rest[:length], self._rest[length:]
            found += self._started and message[:1] in (_QUERY, _EXECUTE)
            self._started = self._started or (
                struct.unpack_from("!i", message, 4)[0] not in _BEFORE_START
            )
        return found


def _begin(source: socket.socket, target: socket.socket, count: Callable[[bytes], None]) -> None:
    def pass_on() -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(_CHUNK):
                count(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    threading.Thread(target=pass_on, daemon=True).start()
