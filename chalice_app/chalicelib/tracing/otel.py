"""The back end for OpenTelemetry: spans go to a collector by OTLP over HTTP.

Where the collector is, and what else OpenTelemetry can be told, stands in variables of its own:
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER and others, which its packages read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chalicelib.tracing.headers import TRACEPARENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.tracing.spans import Invocation

#: The first HTTP status that is the server's fault.
SERVERS_FAULT = 500


@dataclass(frozen=True, slots=True)
class _Current:
    span: trace.Span
    before: Any


def connected(patience: float) -> OpenTelemetry:
    """Return the back end for this process; a handler's own spans go the same way.

    A collector that does not take them within so many seconds does not get them.
    """
    resource = Resource({"service.name": "tasks"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=patience)))
    trace.set_tracer_provider(provider)
    return OpenTelemetry(provider)


class OpenTelemetry:
    """Spans of an SDK's provider; its sampler decides for traces that begin here."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take the provider, which knows where they go."""
        self._provider = provider
        self._tracer = provider.get_tracer("chalicelib")
        self._function = "tasks"

    def begin(self, invocation: Invocation) -> Any:
        """Open the root of a trace, or go on with the client's."""
        self._function = invocation.function
        return self._open(
            invocation.name,
            {"faas.name": invocation.function},
            kind=trace.SpanKind.SERVER,
            context=_named(invocation.headers),
        )

    def start(self, name: str, notes: Mapping[str, str | int]) -> Any:
        """Open a span in the current one."""
        return self._open(name, notes) if _current().is_valid else None

    def call(self, service: str, operation: str, region: str) -> Any:
        """Open one of a client.

        Source: OpenTelemetry, "Semantic conventions for AWS SDK client spans".
        """
        if not _current().is_valid:
            return None
        notes = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation}
        notes |= {"cloud.region": region}
        return self._open(f"{service}.{operation}", notes, kind=trace.SpanKind.CLIENT)

    def resume(self, headers: Mapping[str, str]) -> Any:
        """Open a span in the sender's trace, with a link to that of the invocation."""
        context = _named(headers)
        if not trace.get_current_span(context).get_span_context().is_valid:
            return None
        return self._open(
            self._function,
            {"faas.name": self._function},
            kind=trace.SpanKind.CONSUMER,
            context=context,
            links=[trace.Link(_current())] if _current().is_valid else [],
        )

    def answer(self, span: _Current, status: int) -> None:
        """Note the status."""
        span.span.set_attribute("http.response.status_code", status)
        if status >= SERVERS_FAULT:
            span.span.set_status(trace.StatusCode.ERROR)

    def close(self, span: _Current, error: BaseException | None) -> None:
        """Close it; of an error its class is told, for its text may quote what a client sent."""
        detach(span.before)
        if error is not None:
            span.span.set_status(trace.StatusCode.ERROR)
            span.span.set_attribute("error.type", type(error).__name__)
        span.span.end()

    def flush(self) -> None:
        """Send all that is recorded, and wait for that."""
        self._provider.force_flush()

    def outgoing(self) -> Mapping[str, str]:
        """Return W3C's header, with the decision whether to record."""
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers)
        return {name: text for name, text in headers.items() if name == TRACEPARENT}

    def current_id(self) -> str | None:
        """Return it as 32 hexadecimal digits."""
        current = _current()
        return trace.format_trace_id(current.trace_id) if current.is_valid else None

    def _open(self, name: str, notes: Mapping[str, str | int], **more: Any) -> _Current:
        span = self._tracer.start_span(name, attributes=dict(notes), **more)
        return _Current(span, attach(trace.set_span_in_context(span)))


def _current() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()


def _named(headers: Mapping[str, str]) -> Context:
    return TraceContextTextMapPropagator().extract(headers, Context())
