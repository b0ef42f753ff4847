"""Turns Python in and out of HTTP: bodies, queries, replies and problems (RFC 9457)."""

from __future__ import annotations

import functools
import http
import inspect
import json
import logging
import re
import uuid
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast
from urllib.parse import quote, urlencode

from chalice.app import Response
from pydantic import BaseModel, ValidationError

from chalicelib.errors import (
    BodyTooLarge,
    EnqueueFailed,
    IllegalMove,
    InvalidRequest,
    MalformedBody,
    ServiceError,
    StoreRejected,
    TaskNotFound,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.queue import MAX_ID
from chalicelib.schemas import TaskPage, TaskView
from chalicelib.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Chalice, Request

logger = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
Headers = dict[str, str | list[str]]

#: Which status an error becomes; the nearest class in its ancestry counts.
STATUS: dict[type[Exception], int] = {
    MalformedBody: 400,
    TaskNotFound: 404,
    IllegalMove: 409,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    InvalidRequest: 422,
    StoreRejected: 422,
    EnqueueFailed: 500,
    ServiceError: 500,
    Unavailable: 503,
}


def endpoint(
    app: Chalice, *, status: int = 200
) -> Callable[[Callable[..., BaseModel | None]], Callable[..., Response]]:
    """Let a view take the request, return a model and raise errors; answer in JSON either way.

    A view that returns None has nothing to show (204).

    A created task's address goes into Location (RFC 9110, 10.2.2), the next page's into Link
    (RFC 8288).
    """

    def decorate(view: Callable[..., BaseModel | None]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**arguments: str) -> Response:
            request = cast("Request", app.current_request)
            try:
                return _shown(view(request, **arguments), status, request)
            except ServiceError as error:
                return problem(error, request, app.lambda_context)
            except Exception as error:  # noqa: BLE001  (Chalice would show it as plain text)
                return problem(_unexpected(error), request, app.lambda_context)

        return answer

    return decorate


def body(request: Request, model: type[Model]) -> Model:
    """Read the body as ``model``; raises an InvalidRequest that names every broken rule."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(
            f"Send the body as Content-Type: application/json, not {media_type or 'without one'}."
        )
    if len(request.raw_body) > MAX_BYTES:
        raise BodyTooLarge(
            f"The body has {len(request.raw_body):,} bytes; at most {MAX_BYTES:,} are taken."
        )
    try:
        return model.model_validate_json(request.raw_body)
    except ValidationError as error:
        _refuse(error, _pointer)


def query(request: Request, model: type[Model]) -> Model:
    """Read the query string as ``model``; raises InvalidRequest as ``body`` does."""
    values = request.query_params
    for name in values or ():
        if values and len(values.getlist(name)) > 1:
            raise InvalidRequest.naming([{"parameter": name, "detail": "is given more than once"}])
    try:
        return model.model_validate(dict(values.items()) if values else {})
    except ValidationError as error:
        _refuse(error, lambda path: {"parameter": str(path[0])})


def task_id(text: str) -> int:
    """Read the id in a path; raises InvalidRequest, or TaskNotFound for one too large to exist."""
    if not (text.isascii() and text.isdecimal()):
        raise InvalidRequest.naming([{"parameter": "id", "detail": "must be a positive integer"}])
    if len(text) > len(str(MAX_ID)) or int(text) > MAX_ID:
        raise TaskNotFound("There is no task with so large an id.")
    return int(text)


def problem(error: ServiceError, request: Request, context: Any) -> Response:
    """Turn an error into an RFC 9457 reply; what went wrong inside is logged, not shown."""
    kind = type(error)
    status = next(STATUS[base] for base in kind.__mro__ if base in STATUS)
    request_id = _request_id(request, context)
    facts = {"request_id": request_id, "method": request.method, "status": status}
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request_failed", exc_info=error, extra=facts | {"problem": kind.__name__})
    content = {
        "type": f"urn:problem-type:tasks:{kebab(kind.__name__)}",
        "title": inspect.getdoc(kind),
        "status": status,
        "detail": str(error),
        "instance": _path(request),
        "request_id": request_id,
    }
    content |= {key: error.context[key] for key in ("errors", "current") if key in error.context}
    headers: Headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
    return Response(json.dumps(content), status_code=status, headers=headers)


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
            "instance": _path(request),
            "request_id": _request_id(request, None),
        }
        response.body = json.dumps(content)
        response.headers["Content-Type"] = "application/problem+json"
    return response


def _unexpected(error: Exception) -> ServiceError:
    wrapped = ServiceError()
    wrapped.__cause__ = error
    return wrapped.with_traceback(error.__traceback__)


def _refuse(
    error: ValidationError, place: Callable[[tuple[int | str, ...]], dict[str, str]]
) -> NoReturn:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        raise MalformedBody(f"The body is not valid JSON: {found[0]['ctx']['error']}.") from None
    raise InvalidRequest.naming([place(e["loc"]) | {"detail": _rule(e)} for e in found]) from None


def _rule(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a known field"
        case "missing":
            return "is required"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return str(error["msg"]).replace("Input should", "should")


def _pointer(path: tuple[int | str, ...]) -> dict[str, str]:
    # RFC 6901, section 6: a JSON pointer as a URI fragment.
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"pointer": "#" + "".join(f"/{quote(step)}" for step in steps)}


def _shown(model: BaseModel | None, status: int, request: Request) -> Response:
    if model is None:
        return Response("", status_code=http.HTTPStatus.NO_CONTENT)
    headers: Headers = {"Content-Type": "application/json", **_links(model, status, request)}
    return Response(model.model_dump_json(), status_code=status, headers=headers)


def _links(model: BaseModel, status: int, request: Request) -> dict[str, str]:
    if isinstance(model, TaskPage) and model.next_cursor:
        values = dict((request.query_params or {}).items()) | {"cursor": model.next_cursor}
        return {"Link": f'<{_path(request)}?{urlencode(values)}>; rel="next"'}
    if isinstance(model, TaskView) and status == http.HTTPStatus.CREATED:
        return {"Location": f"{_path(request)}/{model.id}"}
    return {}


def _path(request: Request) -> str:
    # With the stage's prefix, which the route's own path does not have.
    return str(request.context.get("path", request.path)).rstrip("/") or "/"


def _request_id(request: Request, context: Any) -> str:
    inner = getattr(context, "aws_request_id", None)
    return str(request.context.get("requestId") or inner or uuid.uuid4())
