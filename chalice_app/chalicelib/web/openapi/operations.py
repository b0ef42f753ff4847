"""Describes one route: what it takes and what it answers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from chalicelib.queue import MAX_ID
from chalicelib.registry import registry
from chalicelib.schemas import (
    Batch,
    Created,
    SchedulePage,
    ScheduleView,
    TaskPage,
    TaskView,
)
from chalicelib.web.call import media_types
from chalicelib.web.headers import KEY_PATTERN, LONGEST_WAIT
from chalicelib.web.openapi import refusals, schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from chalicelib.web.openapi.routes import Route

PARAMETERS: dict[str, dict[str, Any]] = {
    "task_id": {
        "name": "task_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
    },
    "schedule_id": {
        "name": "schedule_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
    },
    "kind": {
        "name": "kind",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": sorted(registry.kinds)},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request that is repeated with its key is done once, and is answered as "
        "it was the first time.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": f"`wait=N` waits up to N seconds, at most {LONGEST_WAIT}, for the task to "
        "finish (RFC 7240).",
        "schema": {"type": "string"},
        "example": "wait=5",
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the task as the client saw it; without it the latest counts.",
        "schema": {"type": "string"},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of what the client has; it is not sent again.",
        "schema": {"type": "string"},
    },
}

HEADERS: dict[str, dict[str, Any]] = {
    "Accept": {
        "description": "The media types in which the body may be sent.",
        "schema": {"type": "string"},
    },
    "Accept-Patch": {
        "description": "The same, of a PATCH (RFC 5789).",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "Of this version.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` where the request was answered before.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'The next page, with `rel="next"`; none on the last one (RFC 8288).',
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The address of what was made.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {
        "description": "The wait that counted.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
    },
    "Retry-After": {
        "description": "Seconds until it is worth asking again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "How to give a key.", "schema": {"type": "string"}},
}

_MEANS = {200: "Done.", 201: "Created.", 204: "Done; there is nothing to show."}

#: Where in what is shown the id of a task is, always.
_IDS: dict[Any, str] = {
    Created: "/id",
    TaskView: "/id",
    Batch: "/items/0/id",
}


def describe(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """Describe ``route``; ``routes`` are those that its answers can lead to."""
    summary, _, more = (inspect.getdoc(route.view) or "").partition("\n\n")
    operation = route.operation
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary.rstrip("."),
        "tags": ["tasks" if operation and operation.scope else "service"],
    }
    if more:
        told["description"] = more
    if parameters := _parameters(route):
        told["parameters"] = parameters
    if operation and operation.takes and route.has_body:
        told["requestBody"] = _body(operation.takes)
    told["responses"] = _responses(route, routes)
    told["security"] = [{"key": [operation.scope]}] if operation and operation.scope else []
    return told


def _parameters(route: Route) -> list[dict[str, Any]]:
    operation = route.operation
    told = {
        "task_id": route.of_one_task,
        "schedule_id": route.of_one_schedule,
        "kind": route.of_one_kind,
        "Idempotency-Key": operation and operation.keyed,
        "Prefer": operation and operation.waits,
        "If-Match": operation and operation.conditional,
        "If-None-Match": _may_be_known(route),
    }
    named: list[dict[str, Any]] = [
        {"$ref": f"#/components/parameters/{name}"} for name, has in told.items() if has
    ]
    if operation and operation.takes and not route.has_body:
        return [*named, *schemas.parameters(operation.takes)]
    return named


def _body(model: type[BaseModel]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": schemas.REF + model.__name__},
        "example": schemas.EXAMPLES[model.__name__],
    }
    return {"required": True, "content": dict.fromkeys(media_types(model), content)}


def _responses(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    good = route.operation.status if route.operation else 200
    told = {good: _answer(route, good, routes)}
    if route.answers is Created:
        told[200] = _answer(route, 200, routes)
        told[200]["description"] = "A task with the unique key is there already; this is it."
    if _may_be_known(route):
        headers = {"headers": _headers(_header_names(route))}
        told[304] = {"description": "The client has it already."} | headers
    told |= {status: refusals.reference(status) for status in refusals.statuses(route)}
    return {str(status): told[status] for status in sorted(told)}


def _answer(route: Route, status: int, routes: Sequence[Route]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": _MEANS[status]}
    if names := _header_names(route):
        told["headers"] = _headers(names)
    if route.shows:
        content = {"schema": {"$ref": schemas.REF + route.shows.__name__}}
        told["content"] = {route.media_type: content}
    elif not route.operation:
        whole = {"type": "object"} if "json" in route.media_type else {"type": "string"}
        told["content"] = {route.media_type: {"schema": whole}}
    if links := _links(route, routes):
        told["links"] = links
    return told


def _header_names(route: Route) -> list[str]:
    told = {
        "Location": route.answers is Created or _makes_a_schedule(route),
        "ETag": route.shows is TaskView or not route.operation,
        "Retry-After": route.shows is TaskView,
        "Link": route.shows in {TaskPage, SchedulePage},
        "Preference-Applied": route.operation and route.operation.waits,
        "Idempotency-Replayed": route.operation and route.operation.keyed,
    }
    return [name for name, has in told.items() if has]


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _links(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    links: dict[str, Any] = {}
    if route.answers in _IDS:
        task_id = {"task_id": f"$response.body#{_IDS[route.answers]}"}
        links = {
            other.name: {"operationId": other.name, "parameters": task_id}
            for other in routes
            if other.of_one_task
        }
    if route.shows in {TaskPage, SchedulePage}:
        cursor = {"cursor": "$response.body#/next_cursor"}
        links["next_page"] = {"operationId": route.name, "parameters": cursor}
    return links


def _makes_a_schedule(route: Route) -> bool:
    return route.shows is ScheduleView and route.path == "/schedules"


def _may_be_known(route: Route) -> bool:
    return route.method == "GET" and (route.shows is TaskView or not route.operation)
