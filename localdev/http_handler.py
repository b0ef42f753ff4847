"""One HTTP connection: Chalice's local handler, with an answer for whatever a client sends."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import time
import traceback
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from chalice import local

from localdev.gauge import Gauge
from localdev.mapping.report import report

if TYPE_CHECKING:
    from localdev.http_server import Server

BODY_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
MOST_TRAILERS = 100
LINGER = 1.0  # seconds
#: What API Gateway is told to say, too.
NO_ROUTE = "There is no such path, or it does not have this method."
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[^\r\n]*)?\r?\n")
_LENGTH = re.compile(r"[0-9]{1,20}")
_LINE_ENDS = {b"\r\n", b"\n"}

in_progress = Gauge()


class BadRequest(Exception):
    """The request can't be read to its end; the connection is closed after the reply."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        """Remember what to answer."""
        super().__init__(detail)
        self.status = status


class Handler(local.ChaliceRequestHandler):
    """One connection: each reply is one write, whatever the request looked like."""

    disable_nagle_algorithm = True
    wbufsize = -1
    idle_limit = 75.0  # seconds that a connection is kept open between requests
    stall_limit = 20.0  # seconds that a request may stand still in its middle
    server: Server

    def setup(self) -> None:
        """Let OPTIONS be a method as any other: that a path does not have it, the app says."""
        super().setup()
        # Chalice's gateway would answer by itself, and without Allow.
        setattr(self.local_gateway, "_has_user_defined_options_method", lambda _: True)  # noqa: B010

    def handle_one_request(self) -> None:
        """Wait for a request and answer it; whoever waits may be asked to give way."""
        self.connection.settimeout(self.idle_limit)
        try:
            with self.server.idle(self.connection):
                begun = self.rfile.peek(1)
        except TimeoutError:
            begun = b""
        if not begun:
            self.close_connection = True
            return
        self.connection.settimeout(self.stall_limit)
        self.path = ""  # until this request has told its own
        super().handle_one_request()

    def handle_expect_100(self) -> bool:
        """Tell the client to go on, at once."""
        going_on = bool(super().handle_expect_100())
        self.wfile.flush()
        return going_on

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with a problem where http.server would send HTML, and close."""
        self.request_version = self.protocol_version  # else it would leave out the headers
        status = HTTPStatus(code)
        self._refuse(status, explain or message or status.description)

    def _generic_handle(self) -> None:
        try:
            with in_progress:
                super()._generic_handle()
        except BadRequest as error:
            self._refuse(error.status, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets an answer)
            report_failure(error, method=self.command)
            detail = "The local server failed; its console says how."
            self._send_problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_HEAD = _generic_handle  # noqa: N815  (http.server's names)
    do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_QUERY = _generic_handle  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Log nothing: the app's own events are enough."""

    def _parse_payload(self) -> tuple[dict[str, str], bytes | None]:
        try:
            return dict(self.headers), self._body()
        except TimeoutError:
            detail = f"The rest of the body did not come within {self.stall_limit:g} s."
            raise BadRequest(HTTPStatus.REQUEST_TIMEOUT, detail) from None

    def _body(self) -> bytes | None:
        coding = self.headers.get("transfer-encoding")
        if coding is not None:
            if coding.strip().lower() != "chunked":
                detail = "The only Transfer-Encoding that is understood is chunked."
                raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, detail)
            return self._read_chunks()
        lengths = {text.strip() for text in self.headers.get_all("content-length", ["0"])}
        length = lengths.pop()
        if lengths or not _LENGTH.fullmatch(length):
            raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length is not a number of bytes.")
        return self._read(int(length)) or None

    def _read(self, length: int, before: int = 0) -> bytes:
        if before + length > BODY_LIMIT:
            detail = f"The body is larger than {BODY_LIMIT:,} bytes."
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        body: bytes = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._read(size, before=len(body))
            if self._line(1024) not in _LINE_ENDS:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "A chunk is longer than its size says.")
        for _ in range(MOST_TRAILERS):
            if self._line(65537) in _LINE_ENDS:
                return bytes(body)
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Too many trailers follow the body.")

    def _chunk_size(self) -> int:
        found = _CHUNK_SIZE.fullmatch(self._line(1024))
        if found is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "A chunk's size is not a hexadecimal number.")
        return int(found[1], 16)

    def _line(self, limit: int) -> bytes:
        line: bytes = self.rfile.readline(limit)
        if not line:
            raise ConnectionResetError
        return line

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        self.close_connection = True
        self._send_problem(status, detail)
        self.wfile.flush()
        # Closed with bytes unread, the connection would be reset and the reply be lost.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            deadline = time.monotonic() + LINGER
            while self.connection.recv(65536) and time.monotonic() < deadline:
                pass

    def _send_error_response(self, error: local.LocalGatewayException) -> None:
        # Chalice's gateway says what API Gateway says by default, "Missing Authentication Token".
        if isinstance(error, local.ForbiddenError):
            self._send_problem(HTTPStatus.NOT_FOUND, NO_ROUTE)
        else:
            super()._send_error_response(error)

    def _send_problem(self, status: HTTPStatus, detail: str) -> None:
        body = {"type": "about:blank", "title": status.phrase, "status": status.value}
        body |= {"detail": detail, "instance": self.path.partition("?")[0]}
        headers = {"Content-Type": "application/problem+json"}
        if self.close_connection:
            headers["Connection"] = "close"
        text = json.dumps(body | {"request_id": str(uuid.uuid4())})
        self._send_http_response_with_body(status, headers, text)

    def _send_headers(self, headers: dict[str, Any]) -> None:
        if self.server.crowded:
            headers["Connection"] = "close"
        super()._send_headers(headers)

    def _send_http_response_with_body(
        self, code: int, headers: dict[str, Any], body: str | bytes
    ) -> None:
        if self.command == "HEAD":
            # A body would be taken for the next reply.
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)


def report_failure(error: BaseException, **values: object) -> None:
    """Report what the server itself did wrong, as an event like the app's."""
    stack = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(sys.exc_info()[2])
    ]
    report("request_failed", "ERROR", error=repr(error), stack=stack, **values)
