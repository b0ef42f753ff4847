"""The service itself: its API, its worker and its sweeper, each a process of the soak."""

from __future__ import annotations

import importlib
import os
import time
from typing import TYPE_CHECKING, Any

from chalice import local

import soak.handlers  # noqa: F401  (registers the kind)
from localdev.http_server import Handler, Server, load
from localdev.mapping.events import scheduled_event
from localdev.mapping.runner import Context
from localdev.processes import APP, HOST
from soak.lane import poll

if TYPE_CHECKING:
    import socket

SWEEP_LIMIT = 55.0  # seconds, as the deployed sweeper has
MIGRATE_LIMIT = 300.0


def prepare(number: int) -> None:  # noqa: ARG001  (all targets are called alike)
    """Bring the schema up to date."""
    app: Any = importlib.import_module("app")
    app.migrate({}, Context("migrate", time.monotonic() + MIGRATE_LIMIT))


def api(number: int, listener: socket.socket) -> None:  # noqa: ARG001
    """Serve HTTP on a listening socket that others may serve too."""
    app, config = load(APP)

    def server(_: object, handler: Any) -> Server:
        return Server(listener.detach(), handler)

    dev = local.LocalDevServer(app, config, HOST, 0, handler_cls=Handler, server_cls=server)
    dev.server.serve_forever(poll_interval=60)


def worker(number: int) -> None:  # noqa: ARG001
    """Work batches of messages."""
    app: Any = importlib.import_module("app")
    poll(app.work, float(os.environ["WORKER_TIMEOUT"]))


def sweeper(number: int, tick: float) -> None:  # noqa: ARG001
    """Sweep every ``tick`` seconds."""
    app: Any = importlib.import_module("app")
    event = scheduled_event("sweeper", os.environ["AWS_DEFAULT_REGION"])
    while True:
        time.sleep(tick)
        try:
            app.sweep(event, Context("sweeper", time.monotonic() + SWEEP_LIMIT))
        except Exception as error:  # noqa: BLE001  (the next tick comes)
            print(f"sweep failed: {error!r}", flush=True)  # noqa: T201  (its log)
