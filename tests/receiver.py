"""A real HTTP server that answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Script = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    #: Names in lower case; the values of one that came twice, with commas between them.
    headers: dict[str, str]
    body: bytes


def answering(status: int, body: bytes = b"", **headers: str) -> Script:
    """Answer so; an underscore in a header's name stands for a hyphen."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return answer


@dataclass
class Receiver:
    port: int
    script: Script = field(default_factory=lambda: answering(200))
    asked: list[Asked] = field(default_factory=list)

    def url(self, path: str = "/", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        named = self.headers.keys()
        headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in named}
        receiver = self.server.receiver
        receiver.asked.append(Asked(self.command, self.path, headers, body))
        with contextlib.suppress(OSError):  # whoever asked may be gone
            receiver.script(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method is served alike
            return self._serve
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that does not trust us."""


@contextlib.contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a port of 127.0.0.1."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.receiver = Receiver(server.server_port)
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
        thread.start()
        yield server.receiver
        server.shutdown()
        thread.join()
