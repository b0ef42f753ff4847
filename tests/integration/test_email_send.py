from __future__ import annotations

import email
import email.policy
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import ValidationError

from chalicelib.errors import GiveUp, RetryLater
from chalicelib.handlers.email_send import Email
from chalicelib.settings import Settings
from localdev import testing
from tests.integration.tls import make_authority, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

FROM = "Tasks <tasks@example.com>"


@dataclass
class Mailbox:
    """An SMTP server's inside: takes what it is told to take."""

    url: str = ""
    #: Replies to a recipient, and to the whole.
    refused: dict[str, str] = field(default_factory=dict)
    reply: str = "250 OK"
    got: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.reply.startswith("250"):
            policy = email.policy.SMTP
            self.got.append(email.message_from_bytes(envelope.content, policy=policy))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.reply


class Here(Controller):
    """A server on a port that the system chooses."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def serve(stack: ExitStack, mailbox: Mailbox, **how: Any) -> int:
    controller = Here(mailbox, hostname="127.0.0.1", port=0, **how)
    controller.start()
    stack.callback(controller.stop)
    return int(controller.port)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with ExitStack() as stack:
        one = Mailbox()
        one.url = f"smtp://127.0.0.1:{serve(stack, one)}"
        yield one


def run(url: str, *, client: Any = None, given: Any = None, **payload: Any) -> Any:
    usual: dict[str, Any] = {"to": ["ada@example.org"], "subject": "Hello", "text": "Hi."}
    settings = Settings(email_url=url, email_from=FROM if url else "")
    all_given: Any = {"settings": settings, "clients": {"sesv2": client}} | (given or {})
    return testing.run("email.send", usual | payload, **all_given).result


def test_an_email_arrives_as_it_was_written(mailbox: Mailbox) -> None:
    result = run(
        mailbox.url,
        cc=["bob@example.org"],
        bcc=["eve@example.org", "ada@example.org"],
        reply_to=["desk@example.com"],
        subject="Grüße",
        text="Text: ä",
        html="<p>ä</p>",
    )
    [got] = mailbox.got
    assert (got["From"], got["To"], got["Cc"]) == (FROM, "ada@example.org", "bob@example.org")
    assert (got["Subject"], got["Reply-To"]) == ("Grüße", "desk@example.com")
    assert got["Bcc"] is None
    assert mailbox.recipients == [["ada@example.org", "bob@example.org", "eve@example.org"]]
    text, html = got.get_body(("plain",)), got.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content().strip(), html.get_content().strip()) == ("Text: ä", "<p>ä</p>")
    assert result == {"message_id": got["Message-ID"], "refused": {}}


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?Hello=0D=0ABcc:_eve=40example.org?=",
        "=?utf-8?b?DQoNCkFub3RoZXIgdGV4dA==?=",
        "=?utf-8?b?PT91dGYtOD9xPz0wRD0wQUJjYzp4Pz0=?=",
        "Two\u2028lines",
        "  Hello  ",
    ],
)
def test_a_subject_is_one_header_whatever_it_holds(mailbox: Mailbox, subject: str) -> None:
    run(mailbox.url, subject=subject)
    [got] = mailbox.got
    assert "Bcc" not in got
    assert got.keys().count("Subject") == 1
    assert got.get_content().strip() == "Hi."


def test_a_second_copy_can_be_told_by_its_message_id(mailbox: Mailbox) -> None:
    with testing.frozen("2026-11-30T08:00Z"):
        for _attempt in range(2):
            run(mailbox.url, text=None, html="<p>x</p>")
    first, second = mailbox.got
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"] == "<task-1-1796025600000000.local@example.com>"
    assert first.get_content_type() == "text/html"


def test_who_was_not_taken_is_told_and_the_rest_receive_it(mailbox: Mailbox) -> None:
    mailbox.refused = {"bob@example.org": "550 Who?"}
    result = run(mailbox.url, cc=["bob@example.org"])
    assert result["refused"] == {"bob@example.org": 550}
    assert mailbox.recipients == [["ada@example.org"]]


@pytest.mark.parametrize(
    ("reply", "error"), [("450 Later", RetryLater), ("550 Never canary", GiveUp)]
)
def test_the_servers_reply_says_whether_to_try_again(
    mailbox: Mailbox, reply: str, error: type[Exception]
) -> None:
    mailbox.refused = {"ada@example.org": reply}
    with pytest.raises(error, match=reply[:3]) as alone:
        run(mailbox.url)
    mailbox.refused, mailbox.reply = {}, reply
    with pytest.raises(error, match=reply[:3]) as whole:
        run(mailbox.url)
    for raised in (alone, whole):
        assert "canary" not in str(raised.value)
        assert "example.org" not in str(raised.value)


def test_a_server_that_is_away_is_asked_again() -> None:
    with ExitStack() as stack:
        port = serve(stack, Mailbox())
    with pytest.raises(RetryLater, match="broke off"):
        run(f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize("begun", [b"", b"220 here\r\n", b"220 here\r\n250-here\r\n"])
def test_a_server_that_says_a_byte_at_a_time_is_cut_off_at_the_attempts_deadline(
    begun: bytes,
) -> None:
    ended = threading.Event()

    def trickle(listener: socket.socket) -> None:
        near, _ = listener.accept()
        with near, suppress(OSError):
            near.sendall(begun)
            while not ended.wait(0.02):
                near.sendall(b"2")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=trickle, args=(listener,))
        server.start()
        try:
            with pytest.raises(RetryLater, match="The mail server"):
                run(f"smtp://127.0.0.1:{listener.getsockname()[1]}", given={"seconds": 1.3})
            server.join(30)  # what it says then meets nobody
            assert not server.is_alive()
        finally:
            ended.set()
            server.join()


def test_a_password_is_never_said_in_the_clear(mailbox: Mailbox) -> None:
    url = mailbox.url.replace("smtp://", "smtp://me:hunter2@")
    with pytest.raises(GiveUp, match="TLS") as raised:
        run(url)
    assert "hunter2" not in str(raised.value)
    assert mailbox.got == []


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    """A certificate for localhost of an authority that is trusted."""
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority(folder, "authority")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*make_certificate(folder, "authority", "localhost"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority))
        yield made


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_a_server_with_a_certificate_is_told_who_sends(
    certified: ssl.SSLContext, scheme: str
) -> None:
    known: list[Any] = []

    def who(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        known.append((mechanism, data.login, data.password))
        return AuthResult(success=True)

    how: dict[str, Any] = {"tls_context": certified, "authenticator": who}
    if scheme == "smtps":
        how = {"ssl_context": certified, "authenticator": who, "auth_require_tls": False}
    with ExitStack() as stack:
        mailbox = Mailbox()
        port = serve(stack, mailbox, **how)
        run(f"{scheme}://me:p%40ss@localhost:{port}")
        with pytest.raises(RetryLater, match="SSLCertVerificationError"):
            run(f"{scheme}://me:p%40ss@127.0.0.1:{port}")
    assert [(login, password) for _, login, password in known] == [(b"me", b"p@ss")]
    assert len(mailbox.got) == 1


def test_without_a_server_the_task_fails_and_says_so() -> None:
    with pytest.raises(GiveUp, match="EMAIL_URL"):
        run("")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["a@b.c\r\nBcc: x@y.z"]}, "pattern"),
        ({"to": ["Ada <ada@example.org>"]}, "pattern"),
        ({"cc": ["ada@example.org\n"]}, "pattern"),
        ({"subject": "a\r\nBcc: x@y.z"}, "pattern"),
        ({"subject": "a\n"}, "pattern"),
        ({"subject": "a\u0085b"}, "pattern"),
        ({"text": None}, "text, html or both"),
        ({"bcc": [f"a{n}@example.org" for n in range(50)]}, "at most 50"),
        ({"from": "x@y.z"}, "Extra"),
    ],
)
def test_an_email_that_cannot_be_sent_is_refused_when_it_is_created(
    wrong: dict[str, Any], rule: str
) -> None:
    usual = {"to": ["ada@example.org"], "subject": "Hello", "text": "Hi."}
    with pytest.raises(ValidationError, match=rule):
        Email.model_validate(usual | wrong)


@pytest.fixture(scope="module")
def ses() -> Iterator[Any]:
    """A boto3 client of an SES that is spoken to over the wire."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("sesv2", region_name="us-east-1", endpoint_url=f"http://{host}:{port}")
    yield client
    client.close()
    server.stop()


def test_ses_takes_the_whole_message_once_its_sender_is_known(ses: Any) -> None:
    with pytest.raises(GiveUp, match="MessageRejected"):
        run("ses:", client=ses)
    ses.create_email_identity(EmailIdentity="tasks@example.com")
    result = run("ses:", client=ses, bcc=["eve@example.org"])
    assert result["message_id"]
    assert result["refused"] == {}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("TooManyRequestsException", RetryLater),
        ("ThrottlingException", RetryLater),
        ("SendingPausedException", RetryLater),
        ("BadRequestException", GiveUp),
    ],
)
def test_what_ses_refuses_for_now_is_tried_again(
    ses: Any, code: str, error: type[Exception]
) -> None:
    from botocore.stub import Stubber

    with Stubber(ses) as stub:
        stub.add_client_error("send_email", code, "canary@example.org is wrong")
        with pytest.raises(error, match=code) as raised:
            run("ses:", client=ses)
    assert "canary" not in str(raised.value)
