"""Spans: what ran for a task, from a client's request to its handler's end, as one trace.

``spans`` wraps what is to be seen and hands it to a back end; ``headers`` reads what a trace is
handed on by. ``xray`` and ``otel`` are back ends, imported only when switched on; ``aws`` makes
spans of the calls of boto3. Off, nothing is imported, and a wrapped call costs one comparison.
"""

from __future__ import annotations

from chalicelib.tracing.headers import AWS_TRACE_HEADER, TRACEPARENT, id_in, id_of
from chalicelib.tracing.spans import (
    Invocation,
    current_id,
    enable,
    linked,
    observe,
    outgoing,
    traced,
)

__all__ = [
    "AWS_TRACE_HEADER",
    "TRACEPARENT",
    "Invocation",
    "current_id",
    "enable",
    "id_in",
    "id_of",
    "linked",
    "observe",
    "outgoing",
    "traced",
]
