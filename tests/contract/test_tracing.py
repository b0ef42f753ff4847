"""What tracing does, held against each back end, and against none."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.recorder import AWSXRayRecorder
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chalicelib import tracing
from chalicelib.errors import Snooze, Stopped
from chalicelib.tracing import aws, spans
from chalicelib.tracing.otel import OpenTelemetry
from chalicelib.tracing.xray import XRay
from tests.traces import Collector, Daemon, Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT = "53995c3f42cd8ad8"
CANARY = "canary-7f3a"


class Bench(Protocol):
    """A back end under test, and what it sends its spans to."""

    back_end: Any

    def observe(self, act: Callable[[], Any], *, sampled: bool = True) -> tuple[str, Any]:
        """Let an invocation of "worker" do ``act``; return its trace's id and what came of it."""

    def take(self) -> Traces: ...
    def close(self) -> None: ...


class OffBench:
    back_end = None

    def observe(self, act: Callable[[], Any], *, sampled: bool = True) -> tuple[str, Any]:  # noqa: ARG002
        return "", tracing.observe(act, lambda: _invocation({}))

    def take(self) -> Traces:
        return Traces()

    def close(self) -> None:
        """Nothing is open."""


class XRayBench:
    """X-Ray in a process that takes itself for Lambda's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._environ = monkeypatch
        self._daemon = Daemon()
        with monkeypatch.context() as environ:
            environ.setenv("LAMBDA_TASK_ROOT", "/var/task")
            recorder = AWSXRayRecorder()
        recorder.configure(daemon_address=self._daemon.address)
        self._recorder = recorder
        self.back_end = XRay(recorder)

    def observe(self, act: Callable[[], Any], *, sampled: bool = True) -> tuple[str, Any]:
        root = f"1-5759e988-{secrets.token_hex(12)}"
        header = f"Root={root};Parent={CLIENT};Sampled={int(sampled)}"
        with self._environ.context() as environ:
            environ.setenv("_X_AMZN_TRACE_ID", header)
            return root, tracing.observe(act, lambda: _invocation({}))

    def take(self) -> Traces:
        return self._daemon.take()

    def close(self) -> None:
        self._recorder.emitter._socket.close()
        self._daemon.close()


class OtelBench:
    def __init__(self) -> None:
        self._collector = Collector()
        self._provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"{self._collector.url}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.back_end = OpenTelemetry(self._provider)

    def observe(self, act: Callable[[], Any], *, sampled: bool = True) -> tuple[str, Any]:
        root = secrets.token_hex(16)
        headers = {"traceparent": f"00-{root}-{CLIENT}-0{int(sampled)}"}
        return root, tracing.observe(act, lambda: _invocation(headers))

    def take(self) -> Traces:
        """Return what was told; an invocation as a whole is X-Ray's own affair."""
        return Traces(one for one in self._collector.take() if one.parent != CLIENT)

    def close(self) -> None:
        self._provider.shutdown()
        self._collector.close()


def _invocation(headers: dict[str, str]) -> tracing.Invocation:
    return tracing.Invocation(function="worker", name="worker", headers=headers)


def _bench(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made: dict[str, Callable[[], Bench]] = {
        "off": OffBench,
        "xray": lambda: XRayBench(monkeypatch),
        "otel": OtelBench,
    }
    bench = made[name]()
    aws.watch()
    monkeypatch.setattr(spans, "_back_end", bench.back_end)
    yield bench
    bench.close()


@pytest.fixture(params=["xray", "otel"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Tracing that is on."""
    yield from _bench(request.param, monkeypatch)


@pytest.fixture(params=["off", "xray", "otel"])
def any_bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    yield from _bench(request.param, monkeypatch)


def span(name: str, act: Callable[[], Any] = lambda: None) -> Any:
    """Do ``act`` in a span."""
    return tracing.traced(act, lambda: name)()


def resumed(headers: Any, act: Callable[[], Any] = lambda: None) -> Any:
    """Do ``act`` for whoever sent these headers."""
    return tracing.linked(lambda _: act(), lambda headers: headers)(headers)


def _sent(bench: Bench, *, sampled: bool = True) -> tuple[str, Any]:
    """Return the trace of a request, and the headers that went with its message."""
    trace, headers = bench.observe(tracing.outgoing, sampled=sampled)
    bench.take()
    return trace, dict(headers)


def test_what_is_wrapped_does_what_it_did(any_bench: Bench) -> None:
    def act(number: int, *, more: int = 0) -> int:
        return number + more

    work = tracing.linked(
        tracing.traced(act, lambda *_, **__: "work", task_id=lambda number, **_: number),
        lambda *_, **__: {},
    )
    assert work(7, more=1) == 8
    assert any_bench.observe(lambda: work(7, more=2))[1] == 9


def test_an_error_is_raised_as_it_is(any_bench: Bench) -> None:
    raised = ValueError(CANARY)

    def fail() -> None:
        raise raised

    for act in (fail, lambda: span("failing", fail), lambda: resumed({}, fail)):
        with pytest.raises(ValueError, match=CANARY) as caught:
            any_bench.observe(act)
        assert caught.value is raised


def test_without_an_invocation_nothing_is_told_nor_handed_on(
    any_bench: Bench, sqs: Any, queue_name: str
) -> None:
    def alone() -> Any:
        sqs.get_queue_url(QueueName=queue_name)
        return dict(tracing.outgoing()), tracing.current_id()

    assert span("alone", alone) == ({}, None)
    tracing.observe(lambda: None, lambda: _invocation({}))  # which sends what there is
    told = any_bench.take()
    assert (told.named("alone"), told.named("SQS.GetQueueUrl")) == ([], [])


def test_off_there_is_no_trace_to_hand_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_back_end", None)
    _, told = OffBench().observe(lambda: (dict(tracing.outgoing()), tracing.current_id()))
    assert told == ({}, None)


def test_a_span_is_named_and_annotated_from_the_arguments(bench: Bench) -> None:
    def query(name: str, /, **arguments: Any) -> Any:
        return name, arguments

    work = tracing.traced(query, lambda name, /, **_: name, task_id=lambda _, /, **more: more["id"])
    trace, done = bench.observe(lambda: work("claim_tasks", id=7, name="x", back_end="y"))
    assert done == ("claim_tasks", {"id": 7, "name": "x", "back_end": "y"})
    [seen] = bench.take()
    assert (seen.name, seen.notes, seen.trace_id) == ("claim_tasks", {"task_id": 7}, trace)
    assert (seen.fault, seen.error) == (False, None)


def test_spans_lie_in_one_another_as_the_calls_do(bench: Bench) -> None:
    def both() -> None:
        span("first")
        span("second", lambda: span("innermost"))

    bench.observe(lambda: span("outer", both))
    told = bench.take()
    [outer] = told.named("outer")
    assert told.below(outer.id).names() == ["first", "second"]
    [second] = told.named("second")
    assert told.below(second.id).names() == ["innermost"]


def test_of_an_error_the_class_is_told_and_nothing_else(bench: Bench) -> None:
    def fail() -> None:
        raise LookupError(CANARY) from ValueError(CANARY)

    with pytest.raises(LookupError):
        bench.observe(lambda: span("outer", lambda: span("failing", fail)))
    told = bench.take()
    assert [(one.fault, one.error) for one in told] == [(True, "LookupError")] * 2
    assert not told.tell(CANARY)
    _, headers = _sent(bench)
    with pytest.raises(LookupError):
        bench.observe(lambda: resumed(headers, fail))
    [whole] = bench.take()
    assert (whole.name, whole.fault) == ("worker", True)


@pytest.mark.parametrize("signal", [Snooze(1), Stopped()])
def test_what_puts_a_task_off_or_stops_it_is_no_fault(bench: Bench, signal: Exception) -> None:
    def stop() -> None:
        raise signal

    trace, headers = _sent(bench)
    with pytest.raises(type(signal)):
        bench.observe(lambda: resumed(headers, lambda: span("kind", stop)))
    told = bench.take()
    assert len(told.of(trace)) == 2
    assert [one.fault for one in told.of(trace)] == [False, False]


def test_work_belongs_to_the_trace_of_whoever_asked_for_it(bench: Bench) -> None:
    senders = [_sent(bench) for _ in range(3)]

    def work() -> None:
        span("claim")
        for number, (_, headers) in enumerate(senders):
            resumed(headers, partial(span, f"kind {number}"))
        span("settle")

    invocation, _ = bench.observe(work)
    told = bench.take()
    assert told.of(invocation).names() == ["claim", "settle"]
    for number, (trace, _) in enumerate(senders):
        [whole] = told.of(trace).roots()
        assert whole.name == "worker"
        assert told.below(whole.id).names() == [f"kind {number}"]
        assert len(told.of(trace)) == 2


def test_works_in_threads_at_once_belong_each_to_their_own_trace(bench: Bench) -> None:
    senders = [_sent(bench) for _ in range(3)]
    headers = [*(headers for _, headers in senders), {}]
    barrier = threading.Barrier(len(headers))

    def inner() -> str | None:
        barrier.wait(20)
        span("inner")
        barrier.wait(20)
        return tracing.current_id()

    def work() -> list[str | None]:
        with ThreadPoolExecutor(len(headers)) as pool:
            begun = [
                pool.submit(copy_context().run, resumed, some, partial(span, "kind", inner))
                for some in headers
            ]
        span("settle")
        return [one.result() for one in begun]

    invocation, ids = bench.observe(work)
    told = bench.take()
    assert ids == [*(trace for trace, _ in senders), invocation]
    for trace, _ in senders:
        [whole] = told.of(trace).roots()
        assert told.below(whole.id).names() == ["kind"]
        assert told.of(trace).names() == ["inner", "kind", "worker"]
    assert told.of(invocation).names() == ["inner", "kind", "settle"]


def test_the_work_lies_below_what_was_current_when_it_was_asked_for(bench: Bench) -> None:
    trace, headers = bench.observe(lambda: span("asking", tracing.outgoing))
    [asking] = bench.take()
    bench.observe(lambda: resumed(headers))
    [whole] = bench.take().of(trace)
    assert whole.parent == asking.id


def test_what_is_not_recorded_at_the_sender_is_not_recorded_at_the_worker(bench: Bench) -> None:
    _, headers = _sent(bench, sampled=False)
    assert headers
    invocation, passed = bench.observe(
        lambda: resumed(headers, lambda: span("kind", lambda: span("inner", tracing.outgoing)))
    )
    assert bench.take() == []
    assert tracing.id_of(passed) == tracing.id_of(headers) != invocation


def test_an_invocation_that_is_not_recorded_says_so_and_tells_nothing(bench: Bench) -> None:
    trace, headers = bench.observe(lambda: span("kind", tracing.outgoing), sampled=False)
    assert bench.take() == []
    assert tracing.id_of(headers) == trace
    assert re.search(r"Sampled=0$|-00$", " ".join(headers.values()))


def test_recorded_work_in_an_invocation_that_is_not_is_told(bench: Bench) -> None:
    trace, headers = _sent(bench)
    bench.observe(lambda: resumed(headers, lambda: span("kind")), sampled=False)
    assert bench.take().of(trace).names() == ["kind", "worker"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"AWSTraceHeader": ""},
        {"AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793"},
        {"AWSTraceHeader": "Root=nonsense;Parent=53995c3f42cd8ad8;Sampled=1"},
        {"AWSTraceHeader": f"Root=1-00000000-{'0' * 24};Parent=53995c3f42cd8ad8;Sampled=1"},
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-53995c3f42cd8ad8-01"},
        {"traceparent": "\x00" * 100, "AWSTraceHeader": "=;=;" * 100},
    ],
)
def test_headers_that_name_no_trace_leave_the_work_in_that_of_the_invocation(
    bench: Bench, headers: dict[str, str]
) -> None:
    invocation, _ = bench.observe(lambda: resumed(headers, lambda: span("kind")))
    assert [(one.name, one.trace_id) for one in bench.take()] == [("kind", invocation)]


def test_the_current_trace_has_the_id_that_its_headers_name(bench: Bench) -> None:
    trace, headers = _sent(bench)

    def work() -> list[str | None]:
        ids = [tracing.current_id()]
        ids.append(resumed(headers, lambda: span("kind", tracing.current_id)))
        return [*ids, tracing.current_id()]

    invocation, ids = bench.observe(work)
    assert ids == [invocation, trace, invocation]
    assert tracing.id_of(headers) == trace


def test_a_span_that_was_left_open_harms_none_around_it(bench: Bench) -> None:
    """An interrupted handler may leave some."""
    trace, headers = _sent(bench)

    def interrupted() -> None:
        bench.back_end.start("left open", {})
        bench.back_end.start("in that one", {})
        raise KeyboardInterrupt

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            resumed(headers, lambda: span("kind", interrupted))
        with pytest.raises(KeyboardInterrupt):
            span("unlinked", interrupted)
        span("settle")

    invocation, _ = bench.observe(work)
    told = bench.take()
    assert {"kind", "worker"} <= set(told.of(trace).names())
    own = told.of(invocation)
    [settle] = own.named("settle")
    assert settle.parent == own.named("unlinked")[0].parent


def test_what_other_threads_do_joins_no_other_trace(bench: Bench) -> None:
    trace, headers = _sent(bench)
    done: list[Any] = []

    def threaded() -> None:
        other = threading.Thread(target=lambda: done.append(span("elsewhere", lambda: 1)))
        other.start()
        other.join()

    bench.observe(lambda: resumed(headers, lambda: span("kind", threaded)))
    assert done == [1]
    assert bench.take().of(trace).names() == ["kind", "worker"]


def test_a_call_of_aws_is_a_span_that_tells_service_and_operation_only(
    bench: Bench, sqs: Any, queue_name: str
) -> None:
    trace, headers = _sent(bench)

    def call() -> None:
        url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=CANARY)
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.get_queue_url(QueueName=CANARY)

    bench.observe(lambda: resumed(headers, lambda: span("kind", call)))
    told = bench.take()
    [kind] = told.of(trace).named("kind")
    calls = told.below(kind.id)
    assert [one.name for one in calls] == ["SQS.GetQueueUrl", "SQS.SendMessage", "SQS.GetQueueUrl"]
    assert [one.error for one in calls] == [None, None, "QueueDoesNotExist"]
    assert not told.tell(CANARY)
    assert not told.tell(queue_name)


def test_a_server_that_is_away_is_a_fault_with_its_class(bench: Bench) -> None:
    client = boto3.client(
        "sqs",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(EndpointConnectionError):
        bench.observe(lambda: client.get_queue_url(QueueName="any"))
    client.close()
    [call] = bench.take()
    assert (call.fault, call.error) == (True, "EndpointConnectionError")
    assert not call.raw.count("127.0.0.1")


@pytest.mark.parametrize("answers", [True, False])
def test_a_collector_that_is_away_or_silent_keeps_nobody_for_ever(
    monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()  # it takes what is sent, and says nothing
        port = listener.getsockname()[1]
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces", timeout=0.1)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        monkeypatch.setattr(spans, "_back_end", OpenTelemetry(provider))
        told = tracing.observe(lambda: span("kind", lambda: 1), lambda: _invocation({}))
        assert told == 1
        provider.shutdown()


def test_outside_of_lambda_x_ray_records_nothing_but_what_is_linked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.contextmanager(_bench)("xray", monkeypatch) as bench:
        trace, headers = _sent(bench)
        recorder = bench.back_end._recorder
        recorder.configure(context=Context("IGNORE_ERROR"))
        monkeypatch.setattr(spans, "_back_end", XRay(recorder))
        bench.observe(lambda: (span("claim"), resumed(headers, lambda: span("kind"))))
        told = bench.take()
        assert told.names() == ["kind", "worker"]
        assert {one.trace_id for one in told} == {trace}
