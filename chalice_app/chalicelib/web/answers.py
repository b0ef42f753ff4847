"""Writes replies: a model as JSON, and what its headers tell."""

from __future__ import annotations

import http
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from chalice.app import Response

from chalicelib.schemas import (
    Batch,
    Created,
    SchedulePage,
    ScheduleView,
    TaskPage,
    TaskView,
)
from chalicelib.task import FINAL, Status
from chalicelib.web.etags import etag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalice.app import Request
    from pydantic import BaseModel

    from chalicelib.web.call import Call

Headers = dict[str, str | list[str]]

#: The longest time that Retry-After names, in seconds.
LONGEST_RETRY_AFTER = 3600


def shown(model: BaseModel | None, call: Call[Any], status: int, *, waits: bool) -> Response:
    """Show ``model``; headers: Location (RFC 9110), Link (RFC 8288), ETag, Retry-After and more.

    A task that the client knows already is not shown again (304), one whose unique key was taken
    is no new one (200).
    """
    headers: Headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if waits and call.wait and (not isinstance(model, Created) or model.waited):
        headers["Preference-Applied"] = f"wait={call.wait:g}"
    match model:
        case None:
            return Response("", status_code=http.HTTPStatus.NO_CONTENT, headers=headers)
        case Created():
            headers |= _of_creation(model, call.request)
            status = status if model.created else http.HTTPStatus.OK
            model = model.task
        case Batch() if model.replayed:
            headers["Idempotency-Replayed"] = "true"
        case ScheduleView() if status == http.HTTPStatus.CREATED:
            headers["Location"] = f"{path(call.request)}/{model.id}"
        case TaskPage() | SchedulePage() if model.next_cursor:
            headers["Link"] = _next(model.next_cursor, call.request)
        case _:
            pass
    return _json(model, call, status, headers)


def path(request: Request) -> str:
    """Return the path that was asked, with the stage's prefix, which the route's does not have."""
    return str(request.context.get("path", request.path)).rstrip("/") or "/"


def root(request: Request) -> str:
    """Return the path of the API's root, what comes before the route: the stage, or nothing."""
    whole = path(request).rstrip("/").split("/")
    route = str(request.context.get("resourcePath", request.path)).strip("/")
    return "/".join(whole[: len(whole) - len(route.split("/"))] if route else whole)


def _json(model: BaseModel, call: Call[Any], status: int, headers: Headers) -> Response:
    base = root(call.request)
    for one in _linked(model):
        one.links = _links(one, base) if isinstance(one, TaskView) else _schedule_links(one, base)
    if isinstance(model, TaskView):
        headers |= _of_task(model)
        if call.request.method == "GET" and call.knows(etag(model.version)):
            return Response("", status_code=http.HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Type"] = "application/json"
    return Response(model.model_dump_json(), status_code=status, headers=headers)


def _of_creation(created: Created, request: Request) -> Headers:
    replayed: Headers = {"Idempotency-Replayed": "true"} if created.replayed else {}
    return {"Location": f"{path(request)}/{created.task.id}", **replayed}


def _of_task(task: TaskView) -> Headers:
    headers: Headers = {"ETag": etag(task.version), "Cache-Control": "private, no-cache"}
    if task.status not in FINAL:
        wait = min(LONGEST_RETRY_AFTER, max(1, math.ceil(task.wait)))
        headers["Retry-After"] = str(wait)
    return headers


def _next(cursor: str, request: Request) -> str:
    values = dict((request.query_params or {}).items()) | {"cursor": cursor}
    return f'<{path(request)}?{urlencode(values)}>; rel="next"'


def _linked(model: BaseModel) -> Sequence[TaskView | ScheduleView]:
    match model:
        case TaskView() | ScheduleView():
            return [model]
        case TaskPage() | Batch() | SchedulePage():
            return model.items
        case _:
            return []


def _schedule_links(schedule: ScheduleView, base: str) -> dict[str, str]:
    made = urlencode({"tag": f"schedule:{schedule.name}"})
    return {"self": f"{base}/schedules/{schedule.id}", "tasks": f"{base}/tasks?{made}"}


def _links(task: TaskView, base: str) -> dict[str, str]:
    here = f"{base}/tasks/{task.id}"
    links = {"self": here, "attempts": f"{here}/attempts"}
    match task.status:
        case Status.FAILED | Status.CANCELLED:
            links["retry"] = f"{here}/retry"
        case Status.COMPLETED:
            pass
        case _:
            links["cancel"] = f"{here}/cancel"
    return links
