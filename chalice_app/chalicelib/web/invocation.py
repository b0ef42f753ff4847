"""Tells what an invocation is about, for its trace."""

from __future__ import annotations

from typing import Any

from chalice.app import Request

from chalicelib.tracing import TRACEPARENT, Invocation


def invocation_of(event: Any) -> Invocation:
    """Describe one of Chalice's events: a request by its route, any other by its function."""
    if not isinstance(event, Request):
        function = event.context.function_name
        return Invocation(function=function, name=function)
    # Without tracestate: it would carry a client's text into every span.
    headers = {name: event.headers[name] for name in (TRACEPARENT,) if name in event.headers}
    context: Any = event.lambda_context
    return Invocation(
        function=context.function_name,
        name=f"{event.method} {event.context['resourcePath']}",
        headers=headers,
    )
