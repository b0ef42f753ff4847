"""One trace from a client's request to its handler's end, as those who collect traces see it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from localdev.mapping.events import scheduled_event, sqs_event
from tests.lambda_process import LambdaProcess
from tests.traces import Collector, Daemon, Traces

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-7f3a"
CLIENT = "53995c3f42cd8ad8"  # the id of the span that calls the function


class Sink(Protocol):
    """What takes the spans; functions with ``environ`` send theirs to it."""

    #: Whether the sink is told of each invocation as a whole; X-Ray is by Lambda itself.
    whole: bool

    @property
    def environ(self) -> dict[str, str]: ...
    def new_id(self) -> str: ...
    def lambdas(self, trace: str, *, sampled: bool = True) -> str:
        """Return what Lambda hands an invocation of this trace."""

    def clients(self, trace: str, *, sampled: bool = True) -> dict[str, str]:
        """Return the headers that a client of this trace sends."""

    def take(self) -> Traces: ...
    def close(self) -> None: ...


class XRay(Daemon):
    whole = False

    @property
    def environ(self) -> dict[str, str]:
        return {"TRACING": "xray", "AWS_XRAY_DAEMON_ADDRESS": self.address}

    def new_id(self) -> str:
        return f"1-5759e988-{secrets.token_hex(12)}"

    def lambdas(self, trace: str, *, sampled: bool = True) -> str:
        return f"Root={trace};Parent={CLIENT};Sampled={int(sampled)}"

    def clients(self, trace: str, *, sampled: bool = True) -> dict[str, str]:  # noqa: ARG002
        return {}


class OpenTelemetry(Collector):
    whole = True

    @property
    def environ(self) -> dict[str, str]:
        # A busy machine is no reason to lose spans here.
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "TRACING_PATIENCE": "10"}
        return {"TRACING": "otel", **told}

    def new_id(self) -> str:
        return secrets.token_hex(16)

    def lambdas(self, trace: str, *, sampled: bool = True) -> str:  # noqa: ARG002
        return f"Root=1-5759e988-{secrets.token_hex(12)};Parent={CLIENT};Sampled=1"

    def clients(self, trace: str, *, sampled: bool = True) -> dict[str, str]:
        return {"traceparent": f"00-{trace}-{CLIENT}-0{int(sampled)}", "tracestate": f"a={CANARY}"}


@pytest.fixture(scope="module", params=[XRay, OpenTelemetry])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    sink = request.param()
    yield sink
    sink.close()


class Scene:
    """The functions, their queue, and the sink that is told of their spans."""

    def __init__(self, function: LambdaProcess, sink: Sink, sqs: Any, queue_name: str) -> None:
        self.function = function
        self._sink = sink
        self._sqs = sqs
        self._url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
        made = self.function.invoke("admin", KEY, sink.lambdas(sink.new_id()))
        self.key = {"Authorization": f"Bearer {made['text']}"}
        sink.take()

    def post(self, kind: str, *, sampled: bool = True) -> Request:
        """Create a task in a trace of its own."""
        task = {"title": CANARY, "kind": kind, "description": CANARY, "payload": {CANARY: CANARY}}
        trace = self._sink.new_id()
        answer = self.function.post(task, **self._told(trace, sampled=sampled))
        return self._asked(trace, [answer["id"]])

    def post_many(self, count: int) -> Request:
        """Create tasks in one request."""
        trace = self._sink.new_id()
        tasks = [{"title": "a title"} for _ in range(count)]
        answer = self.function.post_many(tasks, **self._told(trace))
        return self._asked(trace, [one["id"] for one in answer["items"]])

    def work(self) -> Traces:
        """Work what is on the queue in an invocation of its own and return what is told of it."""
        reply = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        event = sqs_event(reply.get("Messages", []), "arn:aws:sqs:us-east-1:0:queue", "us-east-1")
        return self._invoke("worker", event)

    def sweep(self) -> Traces:
        """Let the sweeper send every waiting task again."""
        event = scheduled_event("sweeper", "us-east-1")
        return self._invoke("sweeper", event | {"detail": {"queue_lost": True}})

    def lose(self) -> None:
        """Let the queue forget what it holds."""
        self._sqs.purge_queue(QueueUrl=self._url)

    def send(self, body: str, *, trace: str | None = None) -> None:
        """Send a message as somebody else might."""
        told = {"DataType": "String", "StringValue": trace or "a=b"}
        self._sqs.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageSystemAttributes={"AWSTraceHeader": told} if trace else {},
            MessageAttributes={"traceparent": told} if trace else {},
        )

    def attempt(self, number: int) -> dict[str, Any]:
        """Return the task's one attempt."""
        told = self._told(self._sink.new_id())
        shown = self.function.get("/tasks/{task_id}/attempts", number, **told)
        self._sink.take()
        [attempt] = shown["items"]
        return dict(attempt)

    def trace_of(self, number: int) -> str | None:
        """Return the trace that the task itself shows."""
        told = self._told(self._sink.new_id())
        shown = self.function.get("/tasks/{task_id}", number, **told)
        self._sink.take()
        trace: str | None = shown["trace_id"]
        return trace

    def _told(self, trace: str, *, sampled: bool = True) -> dict[str, Any]:
        clients = self._sink.clients(trace, sampled=sampled)
        return {"trace": self._sink.lambdas(trace, sampled=sampled), **self.key, **clients}

    def _asked(self, trace: str, ids: list[int]) -> Request:
        told = self._sink.take()
        sender = CLIENT
        if self._sink.whole and told:
            [whole] = told.roots()
            assert (whole.trace_id, whole.parent) == (trace, CLIENT)
            assert whole.name in {"POST /tasks", "POST /tasks/batch"}
            sender, told = whole.id, Traces(one for one in told if one is not whole)
        assert {(one.trace_id, one.parent) for one in told} <= {(trace, sender)}
        return Request(trace, sender, ids, told)

    def _invoke(self, name: str, event: Any) -> Traces:
        self.trace = self._sink.new_id()
        self.function.invoke(name, event, self._sink.lambdas(self.trace))
        told = self._sink.take()
        if not self._sink.whole:
            return told
        [whole] = (one for one in told.named(f"tasks-{name}") if one.parent is None)
        self.trace = whole.trace_id
        return Traces(one for one in told if one is not whole)


@dataclass(frozen=True, slots=True)
class Request:
    """A request's trace, its span that sent the messages, its tasks, and what else was told."""

    trace: str
    sender: str
    ids: list[int]
    told: Traces

    @property
    def id(self) -> int:
        [number] = self.ids
        return number

    def handled(self, worked: Traces) -> Traces:
        """Return the one span that the worker added to this trace, and what lies in it."""
        [whole] = worked.of(self.trace).roots()
        assert (whole.name, whole.parent) == ("tasks-worker", self.sender)
        [handled] = worked.below(whole.id)
        return Traces([whole, handled, *worked.below(handled.id)])


KEY = {
    "action": "create",
    "tenant": "acme",
    "name": "a test's",
    "scopes": ["tasks:read", "tasks:write"],
}


@pytest.fixture
def scene(
    sink: Sink, database_url: str, sqs: Any, sqs_endpoint: str, queue_name: str
) -> Iterator[Scene]:
    function = LambdaProcess(
        DATABASE_URL=database_url,
        QUEUE_NAME=queue_name,
        AWS_ENDPOINT_URL_SQS=sqs_endpoint,
        PARTIAL_BATCH="report",
        **sink.environ,
    )
    yield Scene(function, sink, sqs, queue_name)
    function.close()
    assert not [line for line in function.said if "tracing_failed" in line]


def test_a_request_and_the_work_it_asked_for_are_one_trace(scene: Scene) -> None:
    request = scene.post("busy")
    assert request.told.names() == ["SQS.GetQueueUrl", "SQS.SendMessage", "insert_tasks"]
    worked = scene.work()
    whole, handled, *inner = request.handled(worked)
    assert (whole.fault, handled.fault) == (False, False)
    assert handled.name == "busy"
    assert handled.notes == {"task_id": request.id, "kind": "busy", "attempt": 1}
    assert [one.name for one in inner] == ["renew_lease", "SQS.GetQueueUrl"]
    own = worked.of(scene.trace)
    assert own.names() == ["claim_tasks", "settle_attempts"]
    assert len({one.parent for one in own}) == 1
    assert len(worked) == 6
    attempt = scene.attempt(request.id)
    assert (attempt["outcome"], attempt["trace_id"]) == ("completed", request.trace)
    assert scene.trace_of(request.id) == request.trace


def test_three_requests_in_one_batch_stay_three_traces(scene: Scene) -> None:
    requests = [scene.post("default") for _ in range(3)]
    worked = scene.work()
    for request in requests:
        _, handled = request.handled(worked)
        assert (handled.name, handled.notes["task_id"]) == ("default", request.id)
    assert set(worked.of(scene.trace).names()) == {"claim_tasks", "settle_attempts"}


def test_the_tasks_of_one_request_share_its_trace(scene: Scene) -> None:
    request = scene.post_many(12)
    worked = Traces([*scene.work(), *scene.work()]).of(request.trace)
    assert len(worked.roots()) == 12
    assert {one.notes["task_id"] for one in worked.named("default")} == set(request.ids)


def test_of_a_request_that_is_not_recorded_nothing_is_told(scene: Scene) -> None:
    request = scene.post("busy", sampled=False)
    assert request.told == []
    worked = scene.work()
    assert {one.trace_id for one in worked} == {scene.trace}
    assert worked.names() == ["claim_tasks", "settle_attempts"]
    assert scene.attempt(request.id)["outcome"] == "completed"


def test_a_failing_handler_is_a_fault_that_tells_its_class_but_nothing_that_was_sent(
    scene: Scene,
) -> None:
    bad = scene.post("bad")
    failed = scene.work()
    whole, handled = bad.handled(failed)
    assert (whole.fault, handled.fault, handled.error) == (True, True, "ValueError")
    busy = scene.post("busy")
    refused = scene.work()
    [call] = refused.of(busy.trace).named("SQS.GetQueueUrl")
    assert (call.fault, call.error) == (True, "QueueDoesNotExist")
    secret = scene.key["Authorization"].removeprefix("Bearer ")
    for traces in (bad.told, failed, busy.told, refused):
        for text in (CANARY, secret, "select", "insert into", "postgres"):
            assert not traces.tell(text)


def test_what_the_sweeper_sends_again_belongs_to_the_sweepers_trace(scene: Scene) -> None:
    request = scene.post("default")
    scene.lose()
    swept = scene.sweep()
    tick = scene.trace
    assert "dispatch_tasks" in swept.of(tick).names()
    worked = scene.work()
    assert worked.of(tick).names() == ["default", "tasks-worker"]
    assert scene.attempt(request.id)["trace_id"] == tick


def test_a_message_without_a_trace_is_worked_in_that_of_the_invocation(scene: Scene) -> None:
    request = scene.post("default")
    scene.lose()
    scene.send(f'{{"task_id": {request.id}}}')
    worked = scene.work()
    assert worked.names() == ["claim_tasks", "default", "settle_attempts"]
    assert {one.trace_id for one in worked} == {scene.trace}


def test_a_header_that_names_no_trace_links_nothing(scene: Scene) -> None:
    request = scene.post("default")
    scene.lose()
    scene.send(f'{{"task_id": {request.id}}}', trace="Root=1-nonsense;Parent=0;Sampled=1")
    assert {one.trace_id for one in scene.work()} == {scene.trace}
    attempt = scene.attempt(request.id)
    assert (attempt["outcome"], attempt["trace_id"]) == ("completed", None)
