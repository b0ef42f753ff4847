from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from chalicelib.errors import GiveUp, RetryLater
from chalicelib.handlers.http_call import Call, call
from chalicelib.outbound.call import MAX_ANSWER
from chalicelib.settings import Settings
from tests.contexts import context
from tests.receiver import Receiver, answering, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK: Any = None


@pytest.fixture(scope="module")
def served() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def run(served: Receiver, *, path: str = "/", allow: str = "127.0.0.1", **payload: Any) -> Any:
    settings = Settings(outbound_allow=allow)
    asked = Call(url=served.url(path), **payload)
    trace = {"AWSTraceHeader": "Root=1", "traceparent": "00-1", "other": "2"}
    made = replace(context(), payload=asked, settings=settings, trace=trace)
    return call(TASK, made)


def test_a_request_is_sent_with_the_tasks_key_and_trace(served: Receiver) -> None:
    served.script = answering(200, b'{"id": 5}', Content_Type="application/json", ETag="x")
    result = run(served, path="/orders?x=1", body={"a": "\u00e9"}, headers={"Authorization": "B"})
    asked = served.asked[-1]
    assert (asked.method, asked.path, json.loads(asked.body)) == (
        "POST",
        "/orders?x=1",
        {"a": "\u00e9"},
    )
    told = {name: asked.headers[name] for name in ("idempotency-key", "x-amzn-trace-id")}
    assert told == {"idempotency-key": "task-1", "x-amzn-trace-id": "Root=1"}
    assert (asked.headers["traceparent"], asked.headers["authorization"]) == ("00-1", "B")
    assert asked.headers["content-type"] == "application/json"
    assert "other" not in asked.headers
    assert result == {
        "status": 200,
        "headers": {"content-type": "application/json", "etag": "x"},
        "body": {"id": 5},
        "cut": False,
    }


def test_a_text_is_sent_as_it_is(served: Receiver) -> None:
    served.script = answering(204)
    run(served, method="PUT", body="plain", headers={"content-type": "text/csv"})
    asked = served.asked[-1]
    assert (asked.method, asked.body, asked.headers["content-type"]) == (
        "PUT",
        b"plain",
        "text/csv",
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_request_may_have_no_body(served: Receiver, method: str) -> None:
    served.script = answering(200)
    assert run(served, method=method)["status"] == 200
    assert "content-type" not in served.asked[-1].headers


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"a": 1', '{"a": 1'),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b"\xff\x00z", "\ufffdz"),
        (b"[" * 2000, "[" * 2000),
    ],
)
def test_what_is_no_json_is_kept_as_a_text(served: Receiver, body: bytes, kept: str) -> None:
    served.script = answering(200, body, Content_Type="application/json; charset=utf-8")
    assert run(served)["body"] == kept


def test_a_long_answer_is_cut_and_says_so(served: Receiver) -> None:
    served.script = answering(200, b"1" * (MAX_ANSWER + 1), Content_Type="application/json")
    result = run(served)
    assert (result["body"], result["cut"]) == ("1" * MAX_ANSWER, True)


@pytest.mark.parametrize(
    ("body", "kept", "cut"),
    [
        (b"\x01" * MAX_ANSWER, "\x01" * 33_333, True),
        (b"\xff" * MAX_ANSWER, "\ufffd" * MAX_ANSWER, False),
        (b'"' * MAX_ANSWER, '"' * MAX_ANSWER, False),
    ],
)
def test_an_answer_that_grows_as_json_is_kept_as_far_as_there_is_room(
    served: Receiver, body: bytes, kept: str, *, cut: bool
) -> None:
    served.script = answering(200, body)
    result = run(served)
    assert (result["body"], result["cut"]) == (kept, cut)


@pytest.mark.parametrize("status", [301, 400, 404, 409, 422])
def test_a_status_that_stays_ends_the_task(served: Receiver, status: int) -> None:
    served.script = answering(status, Location="/elsewhere")
    with pytest.raises(GiveUp, match=f"answered {status}"):
        run(served)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_status_that_passes_leads_to_another_attempt(served: Receiver, status: int) -> None:
    served.script = answering(status)
    with pytest.raises(RetryLater, match=f"answered {status}") as raised:
        run(served)
    assert raised.value.seconds is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999999999", 3600),
        ("Tue, 01 Jan 2030 00:00:30 GMT", 30),
        ("Tue, 01 Jan 2019 00:00:30 GMT", 0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_a_host_may_say_when_to_ask_again(
    served: Receiver, told: str, seconds: float | None
) -> None:
    def answer(handler: Any) -> None:
        handler.send_response_only(503)
        handler.send_header("Date", "Tue, 01 Jan 2030 00:00:00 GMT")
        handler.send_header("Retry-After", told)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    served.script = answer
    with pytest.raises(RetryLater) as raised:
        run(served)
    assert raised.value.seconds == seconds


def test_which_answers_will_do_can_be_said(served: Receiver) -> None:
    served.script = answering(404)
    assert run(served, expected=[200, 404])["status"] == 404
    served.script = answering(201)
    with pytest.raises(GiveUp):
        run(served, expected=[200])


def test_our_own_network_is_not_asked_and_the_task_says_so(served: Receiver) -> None:
    before = len(served.asked)
    with pytest.raises(GiveUp, match="The url has to begin with https://"):
        run(served, allow="")
    assert len(served.asked) == before


def test_a_host_that_breaks_off_is_asked_again(served: Receiver) -> None:
    served.script = lambda _handler: None
    with pytest.raises(RetryLater, match="failed"):
        run(served)


def test_nothing_of_a_request_is_logged(served: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    served.script = answering(503, b"secret")
    with pytest.raises(RetryLater) as raised:
        run(served, path="/secret?secret", body="secret", headers={"X-Secret": "secret"})
    assert "secret" not in caplog.text + str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"url": "https://user@example.com/"}, "no user"),
        ({"url": "https://127.1/"}, "neither a name"),
        ({"url": 5}, "string"),
        ({"headers": {"X": "a\r\nY: b"}}, "one line"),
        ({"headers": {"X Y": "a"}}, "one line"),
        ({"headers": {"Host": "other"}}, "must not name"),
        ({"headers": {"Proxy-Authorization": "x"}}, "must not name"),
        ({"headers": {"idempotency-key": "mine"}}, "must not name"),
        ({"headers": {"x": "1", "X": "2"}}, "twice"),
        ({"method": "TRACE"}, "GET"),
        ({"expected": []}, "at least 1"),
        ({"timeout": 0}, "greater"),
        ({"other": 1}, "Extra"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_when_it_is_created(
    wrong: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        Call.model_validate({"url": "https://example.com/"} | wrong)
