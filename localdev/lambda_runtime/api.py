"""Lambda's Runtime API, as one function's process sees it.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API".
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from localdev.processes import HOST

_ROOT = "/2018-06-01/runtime/"
_NEXT = f"{_ROOT}invocation/next"


@dataclass(frozen=True)
class Handed:
    """An invocation as it is handed out; the deadline is in seconds since the epoch."""

    request_id: str
    arn: str
    trace_id: str
    deadline: float
    body: bytes


@dataclass(frozen=True)
class Said:
    """What the process did: asked for an event, answered one, failed at it or before, or ended."""

    what: Literal["next", "response", "error", "init_error", "ended"]
    request_id: str = ""
    body: bytes = b""


class RuntimeApi:
    """A server for one process; what that says can be heard in order."""

    def __init__(self) -> None:
        """Listen at a free port of 127.0.0.1."""
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Handed | None] = queue.SimpleQueue()
        self._server = _Server((HOST, 0), _Handler)
        self._server.api = self
        self.address = f"{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def hand(self, invocation: Handed) -> None:
        """Give an invocation to the process, when it asks for one."""
        self._waiting.put(invocation)

    def handed(self) -> Handed | None:
        """Wait for an invocation; None means that there will be no more."""
        return self._waiting.get()

    def tell(self, said: Said) -> None:
        """Note what the process did."""
        self._said.put(said)

    def hear(self, seconds: float) -> Said | None:
        """Return the next thing that the process did; None if it did nothing in that time."""
        try:
            return self._said.get(timeout=max(0, seconds))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Listen no more, which takes half a second; a process that waits gets no event."""
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: RuntimeApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Hand out the next invocation, however long that takes to come."""
        if self.path != _NEXT:
            self._answer(HTTPStatus.NOT_FOUND)
            return
        self.server.api.tell(Said("next"))
        handed = self.server.api.handed()
        if handed is None:
            self.close_connection = True
            return
        self._answer(
            HTTPStatus.OK,
            handed.body,
            {
                "Lambda-Runtime-Aws-Request-Id": handed.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(handed.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": handed.arn,
                "Lambda-Runtime-Trace-Id": handed.trace_id,
            },
        )

    def do_POST(self) -> None:
        """Take an answer, or an error."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.path.removeprefix(_ROOT).split("/"):
            case ["init", "error"]:
                said = Said("init_error", body=body)
            case ["invocation", request_id, "response"]:
                said = Said("response", request_id, body)
            case ["invocation", request_id, "error"]:
                said = Said("error", request_id, body)
            case _:
                self._answer(HTTPStatus.NOT_FOUND)
                return
        self._answer(HTTPStatus.ACCEPTED, b'{"status":"OK"}')
        self.server.api.tell(said)

    def log_message(self, *_: object) -> None:
        """Write nothing: the events are told by whoever hands them out."""

    def _answer(
        self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        about = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (about | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
