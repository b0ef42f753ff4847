"""The back end for AWS X-Ray. Lambda makes the segment of each invocation; this fills it.

Outside of Lambda there is no such segment, and nothing is recorded but what is linked.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.models.segment import Segment

from chalicelib.tracing.headers import AWS_TRACE_HEADER, read_xray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.tracing.spans import Invocation

#: Frames that are told of an exception, the last ones.
FRAMES = 10


@dataclass(frozen=True, slots=True)
class _Linked:
    segment: Any
    outer: Any


class _Contexts:
    """The recorder's context: that of the thread's own trace if it has one, else the usual.

    Lambda's context refuses segments; those of other traces live in contexts of their own.
    """

    def __init__(self, usual: Any) -> None:
        self._usual = usual
        self._here = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._here, "own", self._usual), name)

    def enter(self, segment: Segment) -> Any:
        """Begin a context with this segment in it, and return the one before, to go back to."""
        outer = getattr(self._here, "own", self._usual)
        self._here.own = Context("IGNORE_ERROR")
        self._here.own.put_segment(segment)
        return outer

    def leave(self, outer: Any) -> None:
        """Go back to the context before."""
        self._here.own = outer


class XRay:
    """Spans as X-Ray's subsegments, sent by UDP to the daemon beside the function."""

    def __init__(self, recorder: Any = xray_recorder) -> None:
        """Take a recorder: the SDK's own, which a handler may use for spans of its own."""
        self._recorder = recorder
        self._recorder.configure(service="tasks", context_missing="IGNORE_ERROR")
        self._contexts = self._recorder.context = _Contexts(self._recorder.context)
        self._function = "tasks"

    def begin(self, invocation: Invocation) -> None:
        """Take the function's name; the segment is Lambda's."""
        self._function = invocation.function

    def start(self, name: str, notes: Mapping[str, str | int]) -> Any:
        """Open a subsegment in the current one."""
        span = self._begin(name, "local")
        if span is not None:
            for key, value in notes.items():
                span.put_annotation(key, value)
        return span

    def call(self, service: str, operation: str, region: str) -> Any:
        """Open one that X-Ray shows as a service of AWS."""
        span = self._begin(service, "aws")
        if span is not None:
            span.set_aws({"operation": operation, "region": region})
        return span

    def resume(self, headers: Mapping[str, str]) -> Any:
        """Open a segment in the sender's trace."""
        sender = read_xray(headers.get(AWS_TRACE_HEADER))
        if sender is None:
            return None
        segment = Segment(
            self._function,
            traceid=sender.trace_id,
            parent_id=sender.parent,
            sampled=sender.sampled,
        )
        segment.origin = "AWS::Lambda::Function"
        return _Linked(segment, self._contexts.enter(segment))

    def answer(self, span: Any, status: int) -> None:
        """Do nothing: API Gateway's segment has it."""

    def flush(self) -> None:
        """Do nothing: what is closed is sent."""

    def close(self, span: Any, error: BaseException | None) -> None:
        """Close what is open, up to and with ``span``, and send it if it is recorded."""
        if isinstance(span, _Linked):
            self._leave(span, failed=error is not None)
            return
        self._unwind(span)
        if error is not None:
            span.add_exception(_silent(error), extract_tb(error.__traceback__)[-FRAMES:])
        self._recorder.end_subsegment()

    def outgoing(self) -> Mapping[str, str]:
        """Return X-Ray's header, with the decision whether to record."""
        entity = self._recorder.get_trace_entity()
        if self.current_id() is None:
            return {}
        # What is not recorded has no id that means anything; the function's own has.
        parent = entity if entity.sampled else _segment(entity)
        header = f"Root={entity.trace_id};Parent={parent.id};Sampled={int(bool(entity.sampled))}"
        return {AWS_TRACE_HEADER: header}

    def current_id(self) -> str | None:
        """Return it as ``1-...``."""
        entity = self._recorder.get_trace_entity()
        found = read_xray(f"Root={getattr(entity, 'trace_id', None)};Sampled=0")
        return None if found is None else found.trace_id

    def _begin(self, name: str, namespace: str) -> Any:
        entity = self._recorder.get_trace_entity()
        if entity is None or not entity.sampled:
            return None
        return self._recorder.begin_subsegment(name, namespace)

    def _leave(self, linked: _Linked, *, failed: bool) -> None:
        segment = linked.segment
        try:
            if failed:
                segment.add_fault_flag()
            segment.close()
            if segment.sampled:
                self._recorder.emitter.send_entity(segment)
        finally:
            self._contexts.leave(linked.outer)

    def _unwind(self, span: Any) -> None:
        # An interrupted handler may have left spans of its own open.
        entity = self._recorder.get_trace_entity()
        while entity is not span and _segment(entity) is not entity:
            self._recorder.end_subsegment()
            entity = self._recorder.get_trace_entity()


def _segment(entity: Any) -> Any:
    return getattr(entity, "parent_segment", entity)


def _silent(error: BaseException) -> Exception:
    # Its text may quote what a client sent.
    silent: Exception = type(type(error).__name__, (Exception,), {})()
    return silent
