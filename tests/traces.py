"""What is told of a run to those who collect traces, in one form for all of them."""

from __future__ import annotations

import json
import queue
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_END, _STOP = b"end", b"stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One span. ``error`` is the class of the exception that it ended with; ``raw`` is all of it.

    ``root`` is True of what a function did as a whole.
    """

    name: str
    trace_id: str
    id: str
    parent: str | None
    root: bool
    notes: dict[str, Any] = field(default_factory=dict)
    fault: bool = False
    error: str | None = None
    raw: str = ""


class Traces(list[Seen]):
    """Spans that were told, in the order in which they ended."""

    def of(self, trace_id: str) -> Traces:
        """Return those of one trace."""
        return Traces(one for one in self if one.trace_id == trace_id)

    def below(self, parent: str) -> Traces:
        """Return those whose parent has this id."""
        return Traces(one for one in self if one.parent == parent)

    def named(self, name: str) -> Traces:
        """Return those of this name."""
        return Traces(one for one in self if one.name == name)

    def roots(self) -> Traces:
        """Return those of whole functions."""
        return Traces(one for one in self if one.root)

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(one.name for one in self)

    def tell(self, text: str) -> bool:
        """Tell whether a text is anywhere in them."""
        return any(text in one.raw for one in self)


class Daemon:
    """Takes what is sent to an X-Ray daemon; ``address`` is for AWS_XRAY_DAEMON_ADDRESS."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._taken: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def take(self) -> Traces:
        """Return what was sent since the last time.

        Loopback delivers in order, so what came before our own mark is all there is.
        """
        self._mark()
        packets = iter(lambda: self._taken.get(timeout=10), _END)
        return Traces(one for packet in packets for one in documents(packet))

    def close(self) -> None:
        self._mark(_STOP)
        self._thread.join(10)
        self._socket.close()

    def _mark(self, mark: bytes = _END) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, self._socket.getsockname())

    def _listen(self) -> None:
        for packet in iter(lambda: self._socket.recv(65536), _STOP):
            self._taken.put(packet)


def documents(packet: bytes) -> Iterator[Seen]:
    """Read what a packet to the daemon tells.

    Source: AWS X-Ray Developer Guide, "Sending trace data to X-Ray".
    """
    header, _, body = packet.partition(b"\n")
    assert json.loads(header) == {"format": "json", "version": 1}
    return _documents([json.loads(body)])


def _documents(found: Iterable[dict[str, Any]]) -> Iterator[Seen]:
    for one in found:
        inner = one.pop("subsegments", [])
        assert one.get("in_progress") is not True
        exceptions = one.get("cause", {}).get("exceptions", [])
        yield Seen(
            name=_named(one),
            trace_id=one["trace_id"],
            id=one["id"],
            parent=one.get("parent_id"),
            root="type" not in one,
            notes=one.get("annotations", {}),
            fault=one.get("fault", False),
            error=exceptions[0]["type"] if exceptions else None,
            raw=json.dumps(one),
        )
        yield from _documents(inner)


def _named(document: dict[str, Any]) -> str:
    operation = document.get("aws", {}).get("operation")
    return f"{document['name']}.{operation}" if operation else str(document["name"])


class Collector:
    """Takes spans by OTLP over HTTP; ``url`` is for OTEL_EXPORTER_OTLP_ENDPOINT.

    Source: OpenTelemetry, "OTLP Specification", OTLP/HTTP.
    """

    def __init__(self) -> None:
        self._taken: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                collector._taken.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        serve.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self) -> Traces:
        """Return what was sent since the last time; a sender has its answer after it is here."""
        taken, self._taken = self._taken, []
        return Traces(one for body in taken for one in spans(body))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def spans(body: bytes) -> Iterator[Seen]:
    """Read what a request to the collector tells."""
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for one in (span for scope in group.scope_spans for span in scope.spans):
            notes = {note.key: _value(note.value) for note in one.attributes}
            yield Seen(
                name=one.name,
                trace_id=one.trace_id.hex(),
                id=one.span_id.hex(),
                parent=one.parent_span_id.hex() or None,
                root=one.kind in {Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER},
                notes=notes,
                fault=one.status.code == Status.STATUS_CODE_ERROR,
                error=notes.get("error.type"),
                raw=MessageToJson(one) + MessageToJson(group.resource),
            )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
