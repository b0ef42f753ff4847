from __future__ import annotations

import signal
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import OutboundFailed, OutboundRefused, TimedOut
from chalicelib.outbound import Exempt
from chalicelib.outbound.call import MAX_ANSWER, _trust, send
from tests.integration.tls import make_authority, make_certificate
from tests.receiver import Receiver, answering, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

HERE = Exempt.parse("127.0.0.1")
HOST = "hooks.example.com"


@pytest.fixture(scope="module")
def served() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A server that has a certificate for HOST, of an authority that is trusted."""
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority(folder, "authority")
    certificate, key = make_certificate(folder, "authority", HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with pytest.MonkeyPatch.context() as patch, receiver(context) as one:
        patch.setenv("SSL_CERT_FILE", str(authority))
        _trust.cache_clear()
        yield one
    _trust.cache_clear()


def ask(url: str, **how: Any) -> Any:
    usual: dict[str, Any] = {"headers": {}, "timeout": 5, "exempt": HERE}
    return send(url, **usual | how)


def local(_host: str, port: int, **_how: Any) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def test_what_is_sent_arrives_and_the_answer_comes_back(served: Receiver) -> None:
    served.script = answering(201, b"made", X_Made="1")
    answer = ask(served.url("/a?b=c"), headers={"X-Told": "so"}, body=b"{}")
    asked = served.asked[-1]
    assert (asked.method, asked.path, asked.body) == ("POST", "/a?b=c", b"{}")
    assert (asked.headers["x-told"], asked.headers["content-length"]) == ("so", "2")
    assert asked.headers["host"] == f"127.0.0.1:{served.port}"
    assert (answer.status, answer.body, answer.cut) == (201, b"made", False)
    assert answer.headers["x-made"] == "1"


def test_a_redirect_is_not_followed(served: Receiver) -> None:
    served.script = answering(302, Location=served.url("/elsewhere"))
    before = len(served.asked)
    assert ask(served.url("/")).status == 302
    assert len(served.asked) == before + 1


def test_of_a_long_answer_the_beginning_is_kept(served: Receiver) -> None:
    served.script = answering(200, b"x" * (MAX_ANSWER + 1))
    answer = ask(served.url())
    assert (len(answer.body), answer.cut) == (MAX_ANSWER, True)
    served.script = answering(200, b"x" * MAX_ANSWER)
    assert not ask(served.url()).cut


def test_our_own_network_is_not_asked(served: Receiver) -> None:
    before = len(served.asked)
    for url in (served.url(), served.url(host=HOST, scheme="https")):
        with pytest.raises(OutboundRefused):
            ask(url, exempt=Exempt(), lookup=local)
    with pytest.raises(OutboundRefused, match="not public"):
        ask(f"https://{HOST}/", exempt=Exempt(), lookup=local)
    assert len(served.asked) == before


def test_a_name_is_looked_up_once_so_that_no_second_answer_can_lead_astray(
    served: Receiver,
) -> None:
    served.script = answering(200)
    answers = iter([local(HOST, served.port), AssertionError])
    exempt = Exempt.parse(f"127.0.0.0/8,{HOST}")
    answer = ask(served.url(host=HOST), exempt=exempt, lookup=lambda *_asked, **_how: next(answers))
    assert answer.status == 200
    assert served.asked[-1].headers["host"] == f"{HOST}:{served.port}"


def test_the_next_address_is_asked_when_the_first_does_not_answer(served: Receiver) -> None:
    served.script = answering(200)
    with socket.create_server(("127.0.0.2", 0)):  # 127.0.0.2 has no server on the other port

        def both(_host: str, port: int, **_how: Any) -> list[Any]:
            return [(0, 0, 0, "", (one, port)) for one in ("127.0.0.2", "127.0.0.1")]

        exempt = Exempt.parse(HOST)
        assert ask(served.url(host=HOST), exempt=exempt, lookup=both).status == 200


def test_a_host_proves_by_its_certificate_that_it_is_the_one_named(secured: Receiver) -> None:
    secured.script = answering(200, b"safe")
    exempt = Exempt.parse(f"{HOST},other.example.com")
    answer = ask(secured.url(host=HOST, scheme="https"), exempt=exempt, lookup=local)
    assert answer.body == b"safe"
    before = len(secured.asked)
    other = secured.url(host="other.example.com", scheme="https")
    with pytest.raises(OutboundFailed, match="certificate"):
        ask(other, exempt=exempt, lookup=local)
    assert len(secured.asked) == before


def test_a_name_server_that_hangs_is_not_waited_for(served: Receiver) -> None:
    gone, waiting = threading.Event(), list[threading.Thread]()

    def hang(host: str, port: int, **how: Any) -> list[Any]:
        waiting.append(threading.current_thread())
        gone.wait(10)
        return local(host, port, **how)

    served.script = answering(200)
    exempt = Exempt.parse(HOST)
    with pytest.raises(OutboundFailed, match=r"within 0\.2 s"):
        ask(served.url(host=HOST), exempt=exempt, lookup=hang, timeout=0.2)
    [given_up] = waiting
    assert given_up.daemon  # so that no end of a process waits for it either
    assert given_up.is_alive()
    gone.set()
    given_up.join()


def test_a_handler_is_interrupted_while_it_waits_for_a_name_server() -> None:
    gone = threading.Event()

    def ring(_number: int, _frame: Any) -> None:
        raise TimedOut(0.1)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(TimedOut):
            ask(f"https://{HOST}/", lookup=lambda *_asked, **_how: gone.wait(10), timeout=10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gone.set()


def test_a_name_that_no_server_knows_is_told_as_such() -> None:
    def unknown(*_asked: Any, **_how: Any) -> Any:
        raise socket.gaierror

    with pytest.raises(OutboundFailed, match="name is not known"):
        ask(f"https://{HOST}/", lookup=unknown)


def test_an_answer_that_trickles_is_not_waited_for(served: Receiver) -> None:
    gone = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not gone.wait(0.05):
            handler.wfile.write(b"X-More: 1\r\n")

    served.script = trickle
    with pytest.raises(OutboundFailed, match=r"within 0\.3 s"):
        ask(served.url(), timeout=0.3)
    gone.set()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
    ],
)
def test_an_answer_that_is_none_is_a_failure_which_does_not_tell_the_url(
    served: Receiver, reply: bytes
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(reply)

    served.script = answer
    with pytest.raises(OutboundFailed) as failed:
        ask(served.url("/secret?token=secret"))
    assert "secret" not in str(failed.value)


def test_a_host_that_does_not_listen_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OutboundFailed, match="ConnectionRefused"):
        ask(f"http://127.0.0.1:{port}/")
