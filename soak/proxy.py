"""A TCP proxy that now and then passes a request on and answers it with a reset."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


@dataclass
class Route:
    """A listening socket, the port it leads to, and what it does to the traffic.

    ``share`` of the replies are cut while ``cutting`` is set, and counted in ``cuts``; while
    ``down`` is set nothing passes. These three are values that other processes share.
    """

    listener: socket.socket
    port: int
    share: float
    cutting: Any
    cuts: Any
    down: Any


def serve(number: int, routes: Sequence[Route]) -> None:
    """Serve for ever; ``number`` seeds the choice of the replies that are cut."""
    dice = random.Random(number)

    async def run() -> None:
        for route in routes:
            line = _Line(route, dice)
            await asyncio.start_server(line.accept, sock=route.listener, backlog=1024)
        await asyncio.Event().wait()

    asyncio.run(run())


class _Line:
    """All connections to one server."""

    def __init__(self, route: Route, dice: random.Random) -> None:
        self._route = route
        self._dice = dice

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the server until either goes away."""
        try:
            if self._route.down.value:
                raise ConnectionRefusedError
            answers, requests = await asyncio.open_connection("127.0.0.1", self._route.port)
        except OSError:
            _reset(writer)
            return
        _at_once(writer)
        _at_once(requests)
        await asyncio.gather(
            self._requests(reader, requests), self._answers(answers, writer, requests)
        )

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._route.down.value:
                    break  # nothing was done, as with a connection that is refused
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _answers(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        requests: asyncio.StreamWriter,
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._cut():
                    # The server has done it; the client will never hear.
                    _reset(writer)
                    requests.close()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def _cut(self) -> bool:
        route = self._route
        if route.down.value:
            return True
        if route.cutting.value and self._dice.random() < route.share:
            route.cuts.value += 1
            return True
        return False


def _at_once(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
