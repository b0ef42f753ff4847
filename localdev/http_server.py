"""The HTTP server: Chalice's local server, without its delays and its surprises."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import HTTPServer
from typing import TYPE_CHECKING, Any

from chalice import local
from chalice.config import Config

from localdev.mapping.declared import stage_environ
from localdev.processes import APP, follow_parent

if TYPE_CHECKING:
    from pathlib import Path

BODY_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
MOST_CONNECTIONS = 128
PATIENCE = 3.0  # seconds that requests in progress have to end in when stopping
IDLE_LIMIT = 75  # seconds that a connection is kept open


class Gauge:
    """Counts what is in progress."""

    def __init__(self) -> None:
        """Start at none."""
        self._lock = threading.Lock()
        self.value = 0

    def __enter__(self) -> None:
        """One more."""
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        with self._lock:
            self.value -= 1


_in_progress = Gauge()


class BadRequest(Exception):
    """The request can't be read to its end; the connection is closed after the reply."""

    def __init__(self, status: HTTPStatus) -> None:
        """Remember what to answer."""
        super().__init__(status.phrase)
        self.status = status


class Handler(local.ChaliceRequestHandler):
    """One connection: each reply is one write, whatever the request looked like."""

    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_LIMIT

    def _generic_handle(self) -> None:
        try:
            with _in_progress:
                super()._generic_handle()
        except BadRequest as error:
            self.close_connection = True
            self._send_problem(error.status)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001  (whatever it is, the client gets an answer)
            traceback.print_exc()
            self._send_problem(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_HEAD = _generic_handle  # noqa: N815  (http.server's names)
    do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Log nothing: the app's own events are enough."""

    def _parse_payload(self) -> tuple[dict[str, str], bytes | None]:
        headers = dict(self.headers)
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return headers, self._read_chunks()
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        return headers, self._read(int(length)) if int(length) else None

    def _read(self, length: int) -> bytes:
        if length > BODY_LIMIT:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body: bytes = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._read(size)
            if len(body) > BODY_LIMIT:
                raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.rfile.readline(8)
        while self.rfile.readline(65537) not in {b"\r\n", b"\n", b""}:
            pass  # trailers
        return bytes(body)

    def _chunk_size(self) -> int:
        try:
            return int(self.rfile.readline(1024).split(b";", 1)[0], 16)
        except ValueError:
            raise BadRequest(HTTPStatus.BAD_REQUEST) from None

    def _send_problem(self, status: HTTPStatus) -> None:
        body = {"type": "about:blank", "title": status.phrase, "status": status.value}
        headers = {"Content-Type": "application/problem+json"}
        if self.close_connection:
            headers["Connection"] = "close"
        self._send_http_response_with_body(status, headers, json.dumps(body))

    def _send_http_response_with_body(
        self, code: int, headers: dict[str, Any], body: str | bytes
    ) -> None:
        if self.command == "HEAD":
            # A body would be taken for the next reply.
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)


class Server(HTTPServer):
    """Serves each connection in one of a bounded number of threads, which are kept.

    A thread keeps its connection to the database, so a new one for each client would be slow
    and could use them up.
    """

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, descriptor: int, handler: Any) -> None:
        """Take over a listening socket."""
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=descriptor)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.socket.getsockname()
        self._threads = ThreadPoolExecutor(MOST_CONNECTIONS, thread_name_prefix="http")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._threads.submit(self._serve, request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001  (one connection must not harm the others)
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)


def load(app_folder: Path) -> tuple[Any, Config]:
    """Import the app as `chalice local` does: with the variables of the stage `dev`."""
    os.environ.update(stage_environ(app_folder))
    sys.path.insert(0, str(app_folder))
    app = importlib.import_module("app").app
    local.CustomLocalChalice.__bases__ = (local.LocalChalice, app.__class__)
    app.__class__ = local.CustomLocalChalice
    file = app_folder / ".chalice" / "config.json"
    on_disk = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    config = Config(
        chalice_stage="dev",
        user_provided_params={"chalice_app": app, "project_dir": str(app_folder)},
        config_from_disk=on_disk,
        default_params={"api_gateway_stage": "api", "autogen_policy": True},
    )
    return app, config


def main() -> None:
    """Serve on the listening socket whose descriptor is the first argument, once told to go."""
    told = threading.Event()
    follow_parent(lambda line: told.set() if line == "go" else None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    app, config = load(APP)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    told.wait()

    def server(_: object, handler: Any) -> Server:
        return Server(int(sys.argv[1]), handler)

    dev = local.LocalDevServer(app, config, "127.0.0.1", 0, handler_cls=Handler, server_cls=server)
    try:
        dev.server.serve_forever(poll_interval=60)
    except SystemExit:
        deadline = time.monotonic() + PATIENCE
        while _in_progress.value and time.monotonic() < deadline:
            time.sleep(0.02)
        # Idle connections wait in threads that cannot be joined.
        os._exit(0)


if __name__ == "__main__":
    main()
