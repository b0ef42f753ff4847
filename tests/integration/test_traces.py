"""One trace from a client's request to its handler's end, as an X-Ray daemon is told of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from localdev.mapping.events import scheduled_event, sqs_event
from tests.lambda_process import LambdaProcess
from tests.traces import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.traces import Traces

CANARY = "canary-7f3a"
FUNCTION = "53995c3f42cd8ad8"  # the id of the segment that Lambda makes of an invocation


def trace_id() -> str:
    return f"1-5759e988-{secrets.token_hex(12)}"


def header(root: str, *, sampled: bool = True, parent: str = FUNCTION) -> str:
    return f"Root={root};Parent={parent};Sampled={int(sampled)}"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    daemon.close()


class Scene:
    """The functions, their queue, and the daemon that is told of their spans."""

    def __init__(self, function: LambdaProcess, daemon: Daemon, sqs: Any, queue_name: str) -> None:
        self.function = function
        self.daemon = daemon
        self._sqs = sqs
        self._url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
        made = self.function.invoke("admin", KEY, header(trace_id()))
        self.key = {"Authorization": f"Bearer {made['text']}"}
        self.daemon.take()

    def post(self, kind: str, root: str, *, sampled: bool = True) -> int:
        task = {"title": CANARY, "kind": kind, "description": CANARY, "payload": {CANARY: CANARY}}
        answer = self.function.post(task, header(root, sampled=sampled), **self.key)
        return int(answer["id"])

    def work(self, root: str) -> None:
        """Work what is on the queue in an invocation with a trace of its own."""
        reply = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        event = sqs_event(reply.get("Messages", []), "arn:aws:sqs:us-east-1:0:queue", "us-east-1")
        self.function.invoke("worker", event, header(root))

    def lose(self) -> None:
        """Let the queue forget what it holds."""
        self._sqs.purge_queue(QueueUrl=self._url)

    def send(self, body: str, *, trace: str | None = None) -> None:
        """Send a message as somebody else might."""
        told = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}} if trace else {}
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body, MessageSystemAttributes=told)

    def sweep(self, root: str, *, queue_lost: bool) -> None:
        event = scheduled_event("sweeper", "us-east-1") | {"detail": {"queue_lost": queue_lost}}
        self.function.invoke("sweeper", event, header(root))

    def attempts(self, number: int) -> list[dict[str, Any]]:
        root = trace_id()
        shown = self.function.get("/tasks/{task_id}/attempts", header(root), number, **self.key)
        items: list[dict[str, Any]] = shown["items"]
        return items


KEY = {
    "action": "create",
    "tenant": "acme",
    "name": "a test's",
    "scopes": ["tasks:read", "tasks:write"],
}


@pytest.fixture
def scene(
    daemon: Daemon, database_url: str, sqs: Any, sqs_endpoint: str, queue_name: str
) -> Iterator[Scene]:
    function = LambdaProcess(
        AWS_XRAY_DAEMON_ADDRESS=daemon.address,
        TRACING="xray",
        DATABASE_URL=database_url,
        QUEUE_NAME=queue_name,
        AWS_ENDPOINT_URL_SQS=sqs_endpoint,
        PARTIAL_BATCH="report",
        LOG_LEVEL="INFO",
    )
    yield Scene(function, daemon, sqs, queue_name)
    function.close()


def _handled(traces: Traces, request: str) -> Traces:
    """Return the one segment that the worker added to a request's trace, and what lies in it."""
    [segment] = traces.of(request).roots()
    assert (segment.name, segment.parent) == ("tasks", FUNCTION)
    [handled] = traces.below(segment.id)
    return type(traces)([segment, handled, *traces.below(handled.id)])


def test_a_request_and_the_work_it_asked_for_are_one_trace(scene: Scene) -> None:
    request, invocation = trace_id(), trace_id()
    number = scene.post("busy", request)
    asked = scene.daemon.take()
    assert asked.names() == ["SQS.GetQueueUrl", "SQS.SendMessageBatch", "insert_tasks"]
    assert {(one.trace_id, one.parent) for one in asked} == {(request, FUNCTION)}

    scene.work(invocation)
    worked = scene.daemon.take()
    segment, handled, *inner = _handled(worked, request)
    assert (segment.fault, handled.fault) == (False, False)
    assert handled.name == "busy"
    assert handled.notes == {"task_id": number, "kind": "busy", "attempt": 1}
    assert [one.name for one in inner] == ["renew_lease", "SQS.GetQueueUrl"]
    assert worked.of(invocation).names() == ["claim_tasks", "settle_attempts"]
    assert {one.parent for one in worked.of(invocation)} == {FUNCTION}
    assert len(worked) == 6

    [attempt] = scene.attempts(number)
    assert (attempt["outcome"], attempt["trace_id"]) == ("completed", request)


def test_three_requests_in_one_batch_stay_three_traces(scene: Scene) -> None:
    requests, invocation = [trace_id() for _ in range(3)], trace_id()
    numbers = [scene.post("default", one) for one in requests]
    scene.daemon.take()
    scene.work(invocation)
    worked = scene.daemon.take()
    for request, number in zip(requests, numbers, strict=True):
        _, handled = _handled(worked, request)
        assert (handled.name, handled.notes["task_id"]) == ("default", number)
    assert set(worked.of(invocation).names()) == {"claim_tasks", "settle_attempts"}


def test_the_tasks_of_one_request_share_its_trace(scene: Scene) -> None:
    request = trace_id()
    tasks = [{"title": "a title"} for _ in range(12)]
    scene.function.post_many(tasks, header(request), **scene.key)
    scene.work(trace_id())
    scene.work(trace_id())
    worked = scene.daemon.take().of(request)
    assert len(worked.roots()) == 12
    assert len({one.notes["task_id"] for one in worked.named("default")}) == 12


def test_of_a_request_that_is_not_recorded_nothing_is_told(scene: Scene) -> None:
    request, invocation = trace_id(), trace_id()
    number = scene.post("busy", request, sampled=False)
    assert scene.daemon.take() == []
    scene.work(invocation)
    worked = scene.daemon.take()
    assert {one.trace_id for one in worked} == {invocation}
    assert worked.names() == ["claim_tasks", "settle_attempts"]
    [attempt] = scene.attempts(number)
    assert attempt["outcome"] == "completed"


def test_a_failing_handler_is_a_fault_that_tells_its_class_but_nothing_that_was_sent(
    scene: Scene,
) -> None:
    request = trace_id()
    scene.post("bad", request)
    asked = scene.daemon.take()
    scene.work(trace_id())
    worked = scene.daemon.take()
    segment, handled = _handled(worked, request)
    assert (segment.fault, handled.fault, handled.error) == (True, True, "ValueError")
    scene.post("busy", trace_id())
    scene.work(trace_id())
    busy = scene.daemon.take()
    assert busy.named("SQS.GetQueueUrl")[-1].fault
    for traces in (asked, worked, busy):
        assert not traces.tell(CANARY)
        assert not traces.tell("select")
        assert not traces.tell("postgresql://")
        assert not traces.tell(scene.key["Authorization"].removeprefix("Bearer "))


def test_what_the_sweeper_sends_again_belongs_to_the_sweepers_trace(scene: Scene) -> None:
    request, tick = trace_id(), trace_id()
    number = scene.post("default", request)
    scene.lose()
    scene.sweep(tick, queue_lost=True)
    scene.daemon.take()
    scene.work(trace_id())
    worked = scene.daemon.take()
    assert _handled(worked, tick).names() == ["default", "tasks"]
    [attempt] = scene.attempts(number)
    assert attempt["trace_id"] == tick


def test_a_message_without_a_trace_is_worked_in_that_of_the_invocation(scene: Scene) -> None:
    number, invocation = scene.post("default", trace_id()), trace_id()
    scene.lose()
    scene.send(f'{{"task_id": {number}}}')
    scene.daemon.take()
    scene.work(invocation)
    worked = scene.daemon.take()
    assert worked.names() == ["claim_tasks", "default", "settle_attempts"]
    assert {(one.trace_id, one.parent) for one in worked} == {(invocation, FUNCTION)}


def test_a_header_that_is_none_of_x_rays_links_nothing(scene: Scene) -> None:
    number, invocation = scene.post("default", trace_id()), trace_id()
    scene.lose()
    scene.send(f'{{"task_id": {number}}}', trace="Root=1-nonsense;Parent=0;Sampled=1")
    scene.daemon.take()
    scene.work(invocation)
    assert {one.trace_id for one in scene.daemon.take()} == {invocation}
    [attempt] = scene.attempts(number)
    assert (attempt["outcome"], attempt["trace_id"]) == ("completed", None)
