"""Numbers each request, and tells how it was answered."""

from __future__ import annotations

import http
import logging
import time
import uuid
from typing import TYPE_CHECKING

from chalicelib import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Request, Response

logger = logging.getLogger(__name__)


def request_id(request: Request) -> str:
    """Return API Gateway's id of a request; where there is no gateway, one of our own."""
    return str(
        request.context.setdefault("requestId", _lambda_request_id(request) or str(uuid.uuid4()))
    )


def _lambda_request_id(request: Request) -> str | None:
    return getattr(request.lambda_context, "aws_request_id", None)


def tell(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Log one line for each request, at the level of its status; none of it is the client's.

    The lines of a request have the id that the client is told, and the one on Lambda's own lines.
    """
    begun = time.monotonic()
    ids = {
        "request_id": request_id(request),
        "lambda_request_id": _lambda_request_id(request),
    }
    with logs.bound(**ids):
        response = get_response(request)
        facts = {
            "method": request.method,
            "route": request.path,  # the template, with {task_id}
            "status": response.status_code,
            "duration_ms": logs.milliseconds(time.monotonic() - begun),
        }
        logger.log(_level(response.status_code), "request_answered", extra=facts)
    return response


def _level(status: int) -> int:
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    return logging.WARNING if status >= http.HTTPStatus.BAD_REQUEST else logging.INFO
