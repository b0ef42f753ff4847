"""The HTTP server: Chalice's local server, without its delays and its surprises."""

from __future__ import annotations

import importlib
import io
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer
from typing import TYPE_CHECKING, Any

from chalice import local
from chalice.config import Config

from localdev.crowd import Crowd
from localdev.http_handler import Handler, in_progress, report_failure
from localdev.mapping.declared import stage_environ
from localdev.processes import APP, follow_parent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["Handler", "Server", "load", "main"]

MOST_CONNECTIONS = 512
SPARE_FILES = 64  # what the process opens besides its connections
PATIENCE = 3.0  # seconds that requests in progress have to end in when stopping


class Server(HTTPServer):
    """Serves each connection in one of a bounded number of threads, which are kept."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, descriptor: int, handler: Any, most: int = MOST_CONNECTIONS) -> None:
        """Take over a listening socket, and serve ``most`` connections at once."""
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=descriptor)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.socket.getsockname()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            most = max(1, min(most, files - SPARE_FILES))
        self._crowd = Crowd(most)
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="http")

    @property
    def crowded(self) -> bool:
        """Tell whether a new client waits for a connection to be closed."""
        return self._crowd.full

    def idle(self, connection: socket.socket) -> AbstractContextManager[None]:
        """Let ``connection`` be closed for a new client inside the block."""
        return self._crowd.idle(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._crowd.enter()
        self._threads.submit(self._serve, request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say nothing of clients that went away."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            report_failure(error)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001  (one connection must not harm the others)
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._crowd.leave()


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
        while in_progress.value and time.monotonic() < deadline:
            time.sleep(0.02)
        # Idle connections wait in threads that cannot be joined.
        os._exit(0)


if __name__ == "__main__":
    main()
