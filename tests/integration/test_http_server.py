from __future__ import annotations

import contextlib
import functools
import http.client
import json
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Response
from chalice.config import Config
from chalice.local import LocalChalice

from localdev import crowd, processes
from localdev.crowd import Crowd
from localdev.http_handler import BODY_LIMIT, NO_ROUTE, Handler
from localdev.http_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKED = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Impatient(Handler):
    stall_limit = 0.2


def make_app() -> LocalChalice:
    app = LocalChalice(app_name="small")

    @app.route("/echo", methods=["POST", "GET"], content_types=["*/*"])
    def echo() -> Response:
        body: Any = app.current_request.raw_body
        return Response(body.decode(), headers={"Content-Type": "text/plain"})

    return app


@contextlib.contextmanager
def serving(most: int = 512, handler: Any = Impatient) -> Iterator[int]:
    listener = processes.listen()
    port: int = listener.getsockname()[1]
    app = make_app()
    config = Config(chalice_stage="dev", user_provided_params={"chalice_app": app})
    made = functools.partial(handler, app_object=app, config=config)
    server = Server(listener.detach(), made, most)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def answered(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    text = reply.read().decode()
    headers = {name.lower(): value for name, value in reply.getheaders()}
    is_json = "json" in headers.get("content-type", "")
    return reply.status, headers, json.loads(text) if is_json else text


def ask(port: int, request: bytes) -> tuple[int, dict[str, str], Any]:
    with connect(port) as connection:
        connection.sendall(request)
        return answered(connection)


REFUSED = {
    "a length of thousands of digits": (
        b"POST /echo HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        400,
        "Content-Length",
    ),
    "a negative length": (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-L"),
    "two lengths": (
        b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
        "Content-Length",
    ),
    "a body that is too large": (
        b"POST /echo HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        413,
        f"{BODY_LIMIT:,}",
    ),
    "a negative chunk": (CHUNKED + b"-5\r\nabc", 400, "chunk"),
    "a garbled chunk": (CHUNKED + b"zz\r\n", 400, "chunk"),
    "a chunk with a prefix": (CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n", 400, "chunk"),
    "a chunk of thousands of digits": (CHUNKED + b"1" * 900 + b"\r\n", 400, "chunk"),
    "a chunk that is too large": (CHUNKED + b"fffffff\r\n", 413, f"{BODY_LIMIT:,}"),
    "a chunk longer than it says": (CHUNKED + b"2\r\nabcdef\r\n0\r\n\r\n", 400, "longer"),
    "endless trailers": (CHUNKED + b"0\r\n" + b"a: b\r\n" * 200, 400, "trailers"),
    "another coding": (
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        "Transfer-Encoding",
    ),
    "an unknown method": (b"BREW /echo HTTP/1.1\r\n\r\n", 501, "BREW"),
    "no request at all": (b"nonsense\r\n\r\n", 400, "nonsense"),
    "a later version": (b"GET /echo HTTP/3.0\r\n\r\n", 505, "3.0"),
    "too long a path": (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", 414, "URI"),
    "too many headers": (b"GET /echo HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "headers"),
}


@pytest.mark.parametrize(("request_", "status", "word"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_answered_with_a_problem_that_says_why(
    port: int, request_: bytes, status: int, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found, headers, problem = ask(port, request_)
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert headers["connection"] == "close"
    assert problem["status"] == status
    assert word in problem["detail"]
    assert capfd.readouterr() == ("", "")


def test_a_path_that_is_not_there_is_a_404_problem_and_the_connection_lasts(port: int) -> None:
    with connect(port) as connection:
        for path in ("/nowhere", "/ECHO", "/echo/more", "/echo%00"):
            connection.sendall(f"GET {path}?a=b HTTP/1.1\r\n\r\n".encode())
            status, headers, problem = answered(connection)
            assert (status, headers["content-type"]) == (404, "application/problem+json")
            assert uuid.UUID(problem.pop("request_id"))
            assert problem == {
                "type": "about:blank",
                "title": "Not Found",
                "status": 404,
                "detail": NO_ROUTE,
                "instance": path,
            }


def test_a_problem_never_names_the_path_of_the_request_before(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
        answered(connection)
        connection.sendall(b"nonsense\r\n\r\n")
        assert answered(connection)[2]["instance"] == ""


@pytest.mark.parametrize(
    "start",
    [
        b"POST /echo HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf a",
        CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nab\r\n",
        CHUNKED + b"2",
    ],
)
def test_a_body_that_stalls_is_told_so_and_closed(
    port: int, start: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(port) as connection:
        connection.sendall(start)
        status, headers, problem = answered(connection)
        assert (status, headers["connection"]) == (408, "close")
        assert "0.2 s" in problem["detail"]
        assert connection.recv(1) == b""
    assert capfd.readouterr() == ("", "")


def test_a_client_that_goes_away_in_the_middle_is_no_event(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for start in (
        CHUNKED + b"5\r\nab",
        b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
        b"GE",
    ):
        with connect(port) as connection:
            connection.sendall(start)
    assert ask(port, b"GET /echo HTTP/1.1\r\n\r\n")[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 05\r\n\r\nhello", b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"],
)
def test_a_body_of_a_given_length_is_read(port: int, head: bytes) -> None:
    assert ask(port, b"POST /echo HTTP/1.1\r\n" + head)[2] == "hello"


def test_chunks_with_extensions_and_trailers_are_read(port: int) -> None:
    body = b'3;name="x"\r\nhel\r\n0002 \r\nlo\r\n0\r\nDigest: none\r\n\r\n'
    assert ask(port, CHUNKED + body)[2] == "hello"


def test_a_client_that_asks_whether_to_go_on_is_told_before_it_sends(port: int) -> None:
    with connect(port) as connection:
        head = b"POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ok")
        assert answered(connection)[2] == "ok"


def test_head_has_no_body_so_that_the_next_reply_is_not_taken_for_it(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"HEAD /echo HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n")
        replies = b""
        while replies.count(b"HTTP/1.1 ") < 2:
            replies += connection.recv(65536)
    assert b"\r\n\r\nHTTP/1.1 200 " in replies


@pytest.mark.parametrize("method", [b"OPTIONS", b"HEAD", b"PUT"])
def test_a_method_that_a_path_does_not_have_is_told_with_those_that_it_has(
    port: int, method: bytes
) -> None:
    request = method + b" /echo HTTP/1.1\r\nConnection: close\r\n\r\n"
    status, headers, _ = ask(port, request)
    assert (status, headers["allow"]) == (405, "POST, GET")


def test_what_the_server_does_wrong_is_one_event_and_a_problem(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("asked for")

    monkeypatch.setattr("chalice.local.LocalGateway.handle_request", broken)
    with serving() as port:
        status, _, problem = ask(port, b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert (status, problem["detail"]) == (500, "The local server failed; its console says how.")
    [line] = capfd.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "request_failed"
    assert "asked for" in json.loads(line)["error"]


def test_hundreds_of_idle_connections_keep_no_new_client_waiting(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(300):
            idle = stack.enter_context(connect(port))
            if number % 2:
                idle.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
                assert answered(idle)[0] == 200
        begun = time.monotonic()
        assert ask(port, b"GET /echo HTTP/1.1\r\n\r\n")[0] == 200
        assert time.monotonic() - begun < 1


def test_where_all_are_taken_the_one_idle_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd, "GRACE", 0.05)
    with serving(most=2) as port, connect(port) as first, connect(port) as second:
        for connection in (second, first):
            connection.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
            answered(connection)
            time.sleep(0.2)  # the server notes that it is idle only after it has answered
        assert ask(port, b"GET /echo HTTP/1.1\r\n\r\n")[0] == 200
        assert second.recv(1) == b""
        first.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
        assert answered(first)[0] == 200


def test_a_busy_connection_gives_way_to_a_waiting_one_with_its_next_reply() -> None:
    with serving(most=1) as port, connect(port) as busy:
        busy.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
        answered(busy)
        with connect(port) as waiting:
            waiting.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
            closed = False
            while not closed:
                busy.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
                closed = answered(busy)[1].get("connection") == "close"
            assert answered(waiting)[0] == 200


def test_a_connection_just_opened_is_not_closed_for_another() -> None:
    crowded = Crowd(1)
    crowded.enter()
    ours, theirs = socket.socketpair()
    with ours, theirs, crowded.idle(ours):
        left = crowded._make_room()
        assert left is not None
        assert 0 < left <= crowd.GRACE
        theirs.sendall(b"still open")
        assert ours.recv(20) == b"still open"
