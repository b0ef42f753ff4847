"""Bounds how many connections are open, closing the one that was idle longest for a new one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE = 1.0  # seconds in which a connection is expected to be used


class Crowd:
    """The connections of one server; any thread may call it."""

    def __init__(self, most: int) -> None:
        """Allow ``most`` connections at once."""
        self._most = most
        self._open = 0
        self._changed = threading.Condition()
        self._idle: dict[socket.socket, float] = {}  # since when, longest first
        self.full = False

    def enter(self) -> None:
        """Count one more connection, waiting until there is room for it."""
        with self._changed:
            while self._open >= self._most:
                self.full = True
                self._changed.wait(self._make_room())
            self.full = False
            self._open += 1

    def leave(self) -> None:
        """Count one connection less."""
        with self._changed:
            self._open -= 1
            self._changed.notify()

    @contextlib.contextmanager
    def idle(self, connection: socket.socket) -> Iterator[None]:
        """Tell that ``connection`` waits for a request, and may be closed."""
        with self._changed:
            self._idle[connection] = time.monotonic()
            if self.full:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._idle.pop(connection, None)

    def _make_room(self) -> float | None:
        # Returns when to look again, in seconds; None if nothing is idle.
        if not self._idle:
            return None
        connection, since = next(iter(self._idle.items()))
        left = since + GRACE - time.monotonic()
        if left > 0:
            return left
        del self._idle[connection]
        with contextlib.suppress(OSError):
            # Reading only: a request that has come already is still read and answered.
            connection.shutdown(socket.SHUT_RD)
        return GRACE
