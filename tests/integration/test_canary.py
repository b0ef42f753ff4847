"""What clients send is in no log line, metric, span or error, whatever breaks.

Each field that a client can send holds a marker of its own; each layer is broken in turn.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

import app as front_door
from chalicelib import tracing
from chalicelib.errors import StoreRejected, StoreUnavailable
from chalicelib.queue import TaskQueue
from chalicelib.registry import Registry
from chalicelib.tracing import spans
from chalicelib.tracing.xray import XRay
from chalicelib.worker import persist
from tests.fakes import FakeContext, Heard, record
from tests.house.test_operations import told
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalice.test import HTTPResponse

    from tests.integration.api import Api

FIELDS = [
    *("title", "other_title", "description", "payload_name", "payload_value", "tag", "kind"),
    *("unique_key", "idempotency_key", "unknown_field", "body", "query", "path"),
    *("agent", "cookie", "etag", "secret", "result", "error", "callback"),
]
#: Answers that show a client what it sent in this request, and nothing of any other.
SHOWN_AGAIN = {
    "path": "a problem's `instance` is the path that was asked",
    "unknown_field": "a problem points to the field that is wrong",
    "payload_name": "the same",
}
MARK = "canary-7f3a"
#: What webhooks are signed by: without it no callback is taken.
SIGNED = {"webhook_secrets": "r" * 32}
TICK: dict[str, Any] = dict.fromkeys(
    ("version", "account", "region", "detail-type", "source", "time", "id"), ""
) | {"detail": {}, "resources": []}


class Marks(dict[str, str]):
    """A random marker for each field."""

    def __init__(self) -> None:
        super().__init__({name: f"canary{secrets.token_hex(8)}" for name in FIELDS})

    def found_in(self, text: str) -> set[str]:
        """Return the fields whose marker is in ``text``."""
        return {name for name, mark in self.items() if mark in text}

    def task(self) -> dict[str, Any]:
        return {
            "title": self["title"],
            "description": self["description"],
            "payload": {self["payload_name"]: [self["payload_value"]]},
            "tags": [self["tag"]],
            "unique_key": self["unique_key"],
            "callback_url": f"https://{self['callback']}.invalid/{self['callback']}",
        }


class Captured:
    """Takes what would go to the X-Ray daemon; ``end`` sends what is left."""

    def __init__(self) -> None:
        self.documents: list[str] = []
        self.end: Callable[[], None] = lambda: None

    def send_entity(self, entity: Any) -> None:
        self.documents.append(json.dumps(entity.to_dict(), default=str))


class Conversation:
    """What clients and AWS do with the app, and all that was said meanwhile."""

    def __init__(self, api: Api, marks: Marks, heard: Heard, captured: Captured) -> None:
        self.api = api
        self.marks = marks
        self.heard = heard
        self.captured = captured
        self.errors: list[str] = []
        self.raised: list[str] = []
        self.headers = {
            "Content_Type": "application/json",
            "User_Agent": marks["agent"],
            "Cookie": f"session={marks['cookie']}",
            "If_None_Match": f'"{marks["etag"]}"',
        }

    def call(self, method: str, path: str, body: Any = b"", **headers: str) -> HTTPResponse:
        response = self.api.call(method, path, body, **(self.headers | headers))
        if response.status_code >= 400:
            self.errors.append(response.body.decode() + str(dict(response.headers)))
        return response

    def go(self) -> None:
        """Send every field over every route, well and badly; work and sweep what came of it."""
        self._send()
        self._send_badly()
        for event in ({"Records": self.records()}, {"Records": self.records()}):
            self._invoke(front_door.work, event)
        self._invoke(front_door.sweep, TICK)

    def records(self) -> list[dict[str, Any]]:
        received = self.api.queue.receive()
        trace = f"Root={self.marks['body']}"
        return [*received, record(self.marks["body"], trace=trace)]

    def _invoke(self, function: Callable[[Any, Any], Any], event: Any) -> None:
        try:
            function(event, FakeContext())
        except Exception as error:  # noqa: BLE001  (as Lambda does)
            self.raised.append(f"{type(error).__name__}: {error}")  # what Lambda logs

    def _send(self) -> None:
        marks, task = self.marks, self.marks.task()
        key = {"Idempotency_Key": f'"{marks["idempotency_key"]}"'}
        created = self.call("POST", "/tasks", task, **key)
        number = json.loads(created.body)["id"] if created.status_code == 201 else 1
        self.call("POST", "/tasks", task | {"title": marks["other_title"]}, **key)
        self.call("POST", "/tasks/batch", {"tasks": [task, task | {"unique_key": "other"}]})
        self.call("GET", f"/tasks?text={marks['query']}&tag={marks['query']}")
        self.call("POST", "/tasks/retry", {"text": marks["query"], "status": "failed"})
        self.call("PATCH", f"/tasks/{number}", {"title": marks["other_title"]})
        self.call("GET", f"/tasks/{number}/attempts")
        self.call("POST", "/tasks", {"title": marks["title"], "payload": "second"})
        for method, path in (("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")):
            self.call(method, f"/tasks/{number + 9}{path}")

    def _send_badly(self) -> None:
        marks = self.marks
        for body in (
            f'{{"title": {marks["body"]}}}',
            {"title": marks["title"], marks["unknown_field"]: marks["body"]},
            {"title": marks["title"], "kind": marks["kind"]},
            {"title": f"\u0000{marks['title']}", "payload": {marks["payload_name"]: "\u0000"}},
            {"title": [marks["title"]], "tags": [marks["tag"], marks["tag"]]},
        ):
            self.call("POST", "/tasks", body.encode() if isinstance(body, str) else body)
        self.call("GET", f"/tasks/{quote(marks['path'])}")
        self.call("GET", f"/tasks?cursor={marks['query']}&status={marks['query']}")
        self.call("POST", "/tasks", b"x", Idempotency_Key=f"{marks['idempotency_key']} \u00e9")
        self.call("GET", "/tasks/1", Authorization=f"Bearer tk_{'a' * 16}_{marks['secret']}")


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What a function of AWS would write: the service's lines, and what others say loudly."""
    handler, service = Heard(), logging.getLogger("chalicelib")
    levels = service.level, logging.getLogger().level
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
    service.setLevel(logging.DEBUG)
    yield handler
    logging.getLogger().removeHandler(handler)
    service.setLevel(levels[0])
    logging.getLogger().setLevel(levels[1])


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """The trace's documents: what lies in one segment, which is sent at the end."""
    from aws_xray_sdk.core.recorder import AWSXRayRecorder

    recorder, captured = AWSXRayRecorder(), Captured()
    recorder.emitter._socket.close()
    recorder.configure(
        service="tasks", sampling=False, context_missing="IGNORE_ERROR", emitter=captured
    )
    monkeypatch.setattr(spans, "_back_end", XRay(recorder))
    recorder.begin_segment("test")  # as Lambda does
    captured.end = recorder.end_segment
    yield captured
    recorder.clear_trace_entities()


@pytest.fixture
def conversation(
    own_database_url: str,
    api_of: Callable[..., Api],
    heard: Heard,
    captured: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Conversation]:
    """A conversation that has not begun, on a database of its own."""
    monkeypatch.setattr(persist, "PERSISTENCE", (0.01,))
    api = api_of(own_database_url, metrics="emf", database_patience=1, **SIGNED)
    assert api.runtime.metrics
    api.table.close()
    api.table = Table(own_database_url)
    made = Conversation(api, Marks(), heard, captured)
    registry = Registry()
    registry.handler("default")(lambda _task, _context: {"result": made.marks["result"]})
    use(api, registry)
    logging.getLogger("chalicelib").addHandler(api.runtime.metrics)
    yield made
    logging.getLogger("chalicelib").removeHandler(api.runtime.metrics)


def _kind(task: Any, _context: Any) -> str:
    return str(task.kind)


def use(api: Any, registry: Registry, run: Any = None) -> None:
    runner = api.runtime.worker._runner
    runner._bench = replace(runner._bench, registry=registry, run=run or registry.run)


def check(conversation: Conversation, capfd: pytest.CaptureFixture[str]) -> None:
    """Check that nothing of what was sent is anywhere, and that every line is a documented one."""
    marks, heard = conversation.marks, conversation.heard
    conversation.captured.end()
    printed = capfd.readouterr()
    for text in (*heard.lines, *conversation.captured.documents, *conversation.raised, *printed):
        assert marks.found_in(text) == set(), text
    for text in conversation.errors:
        assert marks.found_in(text) <= SHOWN_AGAIN.keys(), text
    assert "insert_tasks" in "".join(conversation.captured.documents)
    assert {"request_answered", "message_unreadable", "metrics"} <= {*heard.events()}
    documented = told()
    for line in map(json.loads, heard.lines):
        if line["event"] in documented and line["event"] != "metrics":
            usual = {"time", "level", "event", "function", "trace_id"}
            usual |= {"request_id", "lambda_request_id"}
            assert line.keys() - usual <= documented[line["event"]][1], line


def test_nothing_is_told_when_nothing_breaks(
    conversation: Conversation, capfd: pytest.CaptureFixture[str]
) -> None:
    conversation.go()
    check(conversation, capfd)
    assert {"task_created", "task_completed", "sweep_finished"} <= {*conversation.heard.events()}
    assert len(conversation.errors) > 8
    assert conversation.raised == []


def test_the_search_would_find_what_is_told(
    conversation: Conversation, capfd: pytest.CaptureFixture[str]
) -> None:
    conversation.go()
    logging.getLogger("chalicelib").info("x", extra={"task": conversation.marks["tag"]})
    with pytest.raises(AssertionError, match="tag"):
        check(conversation, capfd)


class Odd(BaseException):
    """An error that no one expects."""


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, Odd])
def test_nothing_is_told_of_a_handler_that_raises(
    conversation: Conversation, capfd: pytest.CaptureFixture[str], kind: type[BaseException]
) -> None:
    registry, marks = Registry(), conversation.marks

    @registry.handler("default")
    def work(task: Any, context: Any) -> None:  # noqa: ARG001
        failure = kind(f"{marks['error']} {task.title} {task.description}")
        failure.add_note(marks["error"])
        raise failure from ValueError(marks["error"], task.payload)

    run = tracing.traced(registry.run, _kind)
    use(conversation.api, registry, run)
    conversation.go()
    check(conversation, capfd)
    assert {"handler_raised", "task_retrying"} <= {*conversation.heard.events()}


#: A trigger that lets PostgreSQL quote the whole row, under the code of any error it knows.
QUOTING = """
create function quote_row() returns trigger language plpgsql as $$
begin
    raise exception using errcode = '{code}', message = to_jsonb(new)::text,
          detail = to_jsonb(new)::text, hint = new.title;
end $$;
create trigger quoting before {moves} on tasks for each row execute function quote_row();
"""
REJECTED = "22023"  # a value that no repetition makes acceptable: 422
CODES = ["P0001", REJECTED, "23514", "23505", "40001", "57014", "XX000"]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("moves", ["insert", "update"])
def test_nothing_is_told_of_a_database_that_quotes_rows(
    conversation: Conversation, capfd: pytest.CaptureFixture[str], moves: str, code: str
) -> None:
    conversation.api.table.run(QUOTING.format(code=code, moves=moves))
    conversation.go()
    check(conversation, capfd)
    assert ("request_failed" in conversation.heard.events()) == (code != REJECTED)
    assert any('"status": 422' in error for error in conversation.errors)


@pytest.mark.parametrize(
    "spoil",
    [
        "alter table tasks rename to elsewhere",
        "alter table tasks add constraint surprise check (title not like 'canary%')",
        "alter table tasks add constraint surprise check (status <> 'completed')",
        "revoke all on tasks from current_user; alter table tasks owner to pg_database_owner",
    ],
)
def test_nothing_is_told_of_a_database_that_is_not_as_it_should_be(
    conversation: Conversation, capfd: pytest.CaptureFixture[str], spoil: str
) -> None:
    conversation.api.table.run(spoil)
    conversation.go()
    check(conversation, capfd)


@pytest.mark.parametrize("statement", ["claim_tasks", "settle_attempts", "rescue_tasks"])
@pytest.mark.parametrize("error", [StoreUnavailable, StoreRejected, LookupError])
def test_nothing_is_told_of_a_statement_that_fails(
    conversation: Conversation,
    capfd: pytest.CaptureFixture[str],
    statement: str,
    error: type[Exception],
) -> None:
    store: Any = conversation.api.runtime.store
    ask = store._query

    def failing(name: str, /, **arguments: Any) -> Any:
        if name == statement:
            # As the database's rooms raise: from an error that quotes what it was given.
            raise _texted(error, arguments) from ValueError(str(arguments))
        return ask(name, **arguments)

    store._query = failing
    conversation.go()
    check(conversation, capfd)


def _texted(error: type[Exception], arguments: Any) -> Exception:
    return error(str(arguments)) if error is LookupError else error()


def test_nothing_is_told_of_a_database_that_is_away(
    api_of: Callable[..., Api],
    conversation: Conversation,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = conversation.marks["secret"]
    away = api_of(f"postgresql://{secret}:{secret}@127.0.0.1:1/{secret}", metrics="emf", **SIGNED)
    conversation.api = away
    conversation.go()
    check(conversation, capfd)
    assert {"request_failed", "batch_kept", "invocation_failed"} - {
        *conversation.heard.events()
    } <= {
        "batch_kept"  # there was no task to claim
    }


class Sqs:
    """A client of SQS that answers each call with what it was told to quote."""

    def __init__(self, refuse: Callable[[str, Any], Any]) -> None:
        self._refuse = refuse

    def get_queue_url(self, **_: Any) -> dict[str, str]:
        return {"QueueUrl": "http://127.0.0.1:1/queue"}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self._refuse(operation, arguments)


def _refused(operation: str, arguments: Any) -> Any:
    told: Any = {"Error": {"Code": "InvalidMessageContents", "Message": str(arguments)}}
    raise ClientError(told, operation)


def _invalid(operation: str, arguments: Any) -> Any:
    raise ParamValidationError(report=f"{operation} {arguments}")


def _unreachable(operation: str, arguments: Any) -> Any:
    raise EndpointConnectionError(endpoint_url=f"http://{operation}", error=str(arguments))


def _refused_in_part(operation: str, arguments: Any) -> Any:
    entries = arguments.get("Entries", [])
    failed = [{"Id": one["Id"], "Code": "InternalError", "Message": str(one)} for one in entries]
    counts = {f"ApproximateNumberOfMessages{more}": "0" for more in ("", "NotVisible", "Delayed")}
    return {"Failed": failed, "Successful": [], "Attributes": counts, "Operation": operation}


@pytest.mark.parametrize("refuse", [_refused, _invalid, _unreachable, _refused_in_part])
def test_nothing_is_told_of_an_sqs_that_quotes_messages(
    conversation: Conversation,
    capfd: pytest.CaptureFixture[str],
    refuse: Callable[[str, Any], Any],
) -> None:
    made: Any = conversation.api.runtime
    queue = TaskQueue(lambda: Sqs(refuse), "queue", "queue-dlq")
    made.post._queue = made.worker._queue = made.sweeper._queue = queue
    made.sweeper._letters._letters = queue.letters
    conversation.go()
    for row in conversation.api.table.run("select id from tasks"):
        conversation.api.queue.put(f'{{"task_id": {row["id"]}}}')
    conversation._invoke(front_door.work, {"Records": conversation.records()})
    check(conversation, capfd)
    assert "task_send_failed" in conversation.heard.events()


def test_a_client_is_shown_the_text_of_sqs_where_it_asked_to_fail_but_the_log_is_not(
    api_of: Callable[..., Api], own_database_url: str, heard: Heard
) -> None:
    api, marks = api_of(own_database_url, enqueue_failure="fail", **SIGNED), Marks()
    made: Any = api.runtime
    made.post._queue = TaskQueue(lambda: Sqs(_refused), "queue", "queue-dlq")
    response = api.post(marks.task())
    assert response.status_code == 500
    assert b"Failed to send to SQS" in response.body
    assert [marks.found_in(line) for line in heard.lines if marks.found_in(line)] == []
    assert "task_failed" in heard.events()


def test_a_key_that_is_refused_is_told_to_nobody(
    keyed: Api, heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    marks = Marks()
    good = keyed.key("canary-tenant")
    wrong = [f"{good[:20]}{marks['secret']}", marks["secret"], f"tk_{marks['secret']}"]
    for key in [good, *wrong]:
        for scheme in ("Bearer", "Basic", marks["secret"]):
            response = keyed.post(marks.task(), Authorization=f"{scheme} {key}")
            if response.status_code >= 400:
                assert marks.found_in(response.body.decode()) == set()
                assert good[20:] not in response.body.decode()
    said = "\n".join([*heard.lines, *capfd.readouterr()])
    assert marks.found_in(said) == set()
    assert good[20:] not in said
    assert "canary-tenant" not in said


@pytest.mark.parametrize(
    "body",
    [
        f'{{"title": {MARK}}}',
        f'{{"title": 5, "{MARK}": 1}}',
        f'{{"title": "x", "kind": "{MARK}"}}',
        f'{{"title": "\\u0000{MARK}"}}',
        f'{{"title": "x", "payload": "{MARK}"}}',
    ],
)
def test_what_is_wrong_with_a_body_is_told_without_its_values(
    api: Api, heard: Heard, body: str
) -> None:
    response = api.call("POST", "/tasks", body.encode(), Content_Type="application/json")
    assert 400 <= response.status_code < 500
    told = json.loads(response.body)
    pointers = [one.pop("pointer") for one in told.get("errors", [])]
    shown = json.dumps(told).replace(f"#/{MARK}", "")  # a field's name is where it is wrong
    assert pointers or response.status_code == 400
    assert MARK not in shown
    assert MARK not in "\n".join(heard.lines)
