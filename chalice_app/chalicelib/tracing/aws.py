"""Makes spans of boto3's calls, those of handlers too, without importing it."""

from __future__ import annotations

import functools
from typing import Any

from wrapt import register_post_import_hook

from chalicelib.tracing.headers import AWS_TRACE_HEADER
from chalicelib.tracing.spans import BackEnd, outgoing, spanned


@functools.cache
def watch() -> None:
    """Wrap what calls AWS as soon as somebody imports it: a worker may never need to.

    A span tells the service, the operation and the region: arguments and answers may hold what a
    client sent.
    """
    register_post_import_hook(_wrap_calls, "botocore.client")
    register_post_import_hook(_wrap_requests, "botocore.endpoint")


def _wrap_calls(module: Any) -> None:
    client = module.BaseClient
    client._make_api_call = spanned(client._make_api_call, _open)  # noqa: SLF001  (no other door)


def _open(back_end: BackEnd, client: Any, operation: str, *_: Any) -> Any:
    meta = client.meta
    return back_end.call(meta.service_model.service_id, operation, meta.region_name)


def _wrap_requests(module: Any) -> None:
    # In Lambda boto3 sends the invocation's trace along; in a task's trace that would be wrong.
    endpoint = module.Endpoint
    prepare = endpoint.prepare_request

    @functools.wraps(prepare)
    def preparing(self: Any, request: Any) -> Any:
        if header := outgoing().get(AWS_TRACE_HEADER):
            request.headers["X-Amzn-Trace-Id"] = header
        return prepare(self, request)

    endpoint.prepare_request = preparing
