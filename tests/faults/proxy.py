"""A TCP proxy that delays, swallows, refuses, answers by itself, and cuts replies off."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Self

from localdev.processes import listen

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST

#: How PostgreSQL ends a reply outside a transaction: the work is committed by then.
READY_FOR_QUERY = b"Z\x00\x00\x00\x05I"


@dataclass
class Cut:
    """Replies to requests that contain ``after`` are cut, ``times`` times."""

    after: bytes
    times: int = 1
    #: The reply is only cut when the server has sent this: it is through with the request.
    reply_end: bytes = b""


class Proxy:
    """A proxy before a server; what its attributes say holds from the next byte on."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.delay = 0.0  # seconds, each way
        self.silent = False  # acknowledges, and passes nothing on
        self.refusing = False
        self.answer = b""  # given to every request instead of passing it on
        self.cut: Cut | None = None
        self.opened = 0
        self._server = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listener = listen()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.port = self._listener.getsockname()[1]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def reset_all(self) -> None:
        """Reset every connection there is."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        start = asyncio.start_server(self._accept, sock=self._listener)
        server = self._loop.run_until_complete(start)
        self._loop.run_forever()
        server.close()
        self._reset_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        pending = asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True)
        self._loop.run_until_complete(pending)
        self._loop.close()

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        if self.refusing:
            _reset(writer)
            return
        self._writers.add(writer)
        line = _Line(self, reader, writer)
        with contextlib.suppress(OSError):
            await line.serve(*self._server)
        self._writers.discard(writer)
        writer.close()


class _Line:
    """One client's connection."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._to_client = to_client
        self._cutting: bytes | None = None

    async def serve(self, host: str, port: int) -> None:
        if self._proxy.answer:
            await self._answer_by_itself()
            return
        server, to_server = await asyncio.open_connection(host, port)
        both = (self._requests(to_server), self._replies(server))
        ways = [asyncio.ensure_future(way) for way in both]
        try:
            # When either goes away, so does the other.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            to_server.close()

    async def _answer_by_itself(self) -> None:
        request = b""
        while not _is_whole(request):
            data = await self._client.read(_CHUNK)
            if not data:
                return
            request += data
        self._to_client.write(self._proxy.answer)
        await self._to_client.drain()

    async def _requests(self, to_server: asyncio.StreamWriter) -> None:
        while data := await self._client.read(_CHUNK):
            if self._proxy.silent:
                continue
            await asyncio.sleep(self._proxy.delay)
            cut = self._proxy.cut
            if cut and cut.times and cut.after in data:
                cut.times -= 1
                self._cutting = cut.reply_end
            to_server.write(data)
            await to_server.drain()

    async def _replies(self, server: asyncio.StreamReader) -> None:
        while data := await server.read(_CHUNK):
            if self._cutting is not None:
                if self._cutting not in data:
                    continue
                _reset(self._to_client)
                return
            if self._proxy.silent:
                continue
            await asyncio.sleep(self._proxy.delay)
            self._to_client.write(data)
            await self._to_client.drain()


def _is_whole(request: bytes) -> bool:
    if not request.startswith((b"POST", b"GET")):
        return bool(request)  # PostgreSQL's start-up packet
    head, _, body = request.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    return bool(_) and len(body) >= int(length.split(b"\r\n")[0] or 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def http_error(status: int, code: str, message: str = "injected") -> bytes:
    """Return what SQS says when it refuses, in its JSON protocol."""
    body = f'{{"__type":"com.amazonaws.sqs#{code}","message":"{message}"}}'
    head = (
        f"HTTP/1.1 {status} Injected\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return (head + body).encode()


def postgres_error(sqlstate: str, message: str) -> bytes:
    """Return PostgreSQL's refusal of a connection."""
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields
