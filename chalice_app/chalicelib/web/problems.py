"""Turns errors into replies (RFC 9457)."""

from __future__ import annotations

import http
import inspect
import json
import logging
import re
from typing import TYPE_CHECKING

from chalice.app import Response

from chalicelib.errors import (
    BodyTooLarge,
    EnqueueFailed,
    Forbidden,
    IllegalMove,
    InvalidRequest,
    KeyReused,
    KindNotFound,
    MalformedBody,
    MalformedHeader,
    ScheduleNotFound,
    ScheduleRefused,
    ServiceError,
    StoreRejected,
    TaskChanged,
    TaskNotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.web.answers import Headers, path
from chalicelib.web.headers import MERGE_PATCH
from chalicelib.web.requests import request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Request

logger = logging.getLogger(__name__)

#: Which status an error becomes; the nearest class in its ancestry counts.
STATUS: dict[type[Exception], int] = {
    MalformedBody: 400,
    MalformedHeader: 400,
    Unauthorized: 401,
    Forbidden: 403,
    TaskNotFound: 404,
    KindNotFound: 404,
    ScheduleNotFound: 404,
    IllegalMove: 409,
    ScheduleRefused: 409,
    TaskChanged: 412,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    InvalidRequest: 422,
    StoreRejected: 422,
    KeyReused: 422,
    TooManyRequests: 429,
    EnqueueFailed: 500,
    ServiceError: 500,
    Unavailable: 503,
}

#: Members that some problems have besides those of RFC 9457.
EXTENSIONS = ("errors", "unnamed", "current")

#: How to give a key (RFC 6750, section 3); what was wrong with the one given comes behind it.
CHALLENGE = 'Bearer realm="tasks"'


def problem(error: ServiceError, request: Request) -> Response:
    """Turn an error into an RFC 9457 reply; what went wrong inside is logged, not shown."""
    kind = type(error)
    status = next(STATUS[base] for base in kind.__mro__ if base in STATUS)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request_failed", exc_info=error)
    content = {
        "type": f"urn:problem-type:tasks:{kebab(kind.__name__)}",
        "title": inspect.getdoc(kind),
        "status": status,
        "detail": str(error),
        "instance": path(request),
        "request_id": request_id(request),
    }
    content |= {name: error.context[name] for name in EXTENSIONS if name in error.context}
    return Response(json.dumps(content), status_code=status, headers=_headers(error))


def _headers(error: ServiceError) -> Headers:
    headers: Headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    match error:
        case Unavailable():
            headers["Retry-After"] = "5"
        case TooManyRequests():
            headers["Retry-After"] = str(error.context["wait"])
        case Unauthorized():
            tried = "" if error.context.get("untried") else ', error="invalid_token"'
            headers["WWW-Authenticate"] = CHALLENGE + tried
        case Forbidden():
            headers["WWW-Authenticate"] = CHALLENGE + ', error="insufficient_scope"'
        case UnsupportedMediaType(context={"taken": taken}):
            headers["Accept"] = ", ".join(taken)
            if MERGE_PATCH in taken:
                headers["Accept-Patch"] = ", ".join(taken)
        case _:
            pass
    return headers


def kebab(name: str) -> str:
    """Return a class's name as the last part of its problem type."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def plain_errors_as_problems(
    request: Request, get_response: Callable[[Request], Response]
) -> Response:
    """Give Chalice's own errors (a method that a path does not have) the shape of ours."""
    response = get_response(request)
    if isinstance(response.body, dict) and {"Code", "Message"} <= response.body.keys():
        content = {
            "type": "about:blank",
            "title": http.HTTPStatus(response.status_code).phrase,
            "status": response.status_code,
            "detail": response.body["Message"],
            "instance": path(request),
            "request_id": request_id(request),
        }
        response.body = json.dumps(content)
        response.headers["Content-Type"] = "application/problem+json"
    return response
