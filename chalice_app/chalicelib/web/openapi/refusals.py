"""The problems that a route can answer with."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from chalicelib.errors import StoreUnavailable, Unavailable
from chalicelib.schemas import NewSchedule, ScheduleChanges
from chalicelib.web.problems import STATUS, kebab

if TYPE_CHECKING:
    from chalicelib.web.openapi.routes import Route

#: What comes from API Gateway, and so for any request.
GATEWAY = {
    429: "more requests than API Gateway lets through",
    502: "the service gave API Gateway no answer",
    504: "the service gave API Gateway no answer in 29 seconds",
}
HEADERS = {
    401: ["WWW-Authenticate"],
    403: ["WWW-Authenticate"],
    415: ["Accept", "Accept-Patch"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def statuses(route: Route) -> list[int]:
    """Return the status of every problem that ``route`` can answer with."""
    found = {*GATEWAY, 500, 503}
    operation = route.operation
    if operation and operation.scope:
        found |= {401, 403}
    if operation and operation.takes:
        found |= {400, 413, 415, 422} if route.has_body else {422}
    if operation and operation.keyed:
        found |= {400, 404, 422}  # 404: what a repeated request had made is deleted
    if operation and operation.conditional:
        found.add(412)
    found |= _of_other_things(route)
    if route.of_one_task:
        found |= {404, 422} if route.method == "GET" else {404, 409, 422}
    return sorted(found)


def _of_other_things(route: Route) -> set[int]:
    found = {404} if route.of_one_kind or route.of_one_schedule else set()
    if route.of_one_schedule:
        found.add(422)
    if route.operation and route.operation.takes in (NewSchedule, ScheduleChanges):
        found.add(409)
    return found


def responses() -> dict[str, Any]:
    """Return an answer for each status that a problem can have, by its name in ``reference``."""
    return {f"Problem{status}": _answer(status) for status in sorted({*GATEWAY, *_types()})}


def reference(status: int) -> dict[str, str]:
    """Point to the answer for ``status``."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def _answer(status: int) -> dict[str, Any]:
    told = [f"`{name}`: {title}" for name, title in _types().get(status, [])]
    told += [f"`about:blank`: {GATEWAY[status]}."] if status in GATEWAY else []
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answer: dict[str, Any] = {"description": " ".join(told), "content": content}
    if status in HEADERS:
        answer["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS[status]
        }
    return answer


def _types() -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    for kind, status in STATUS.items():
        # Of what may be away, only the database is told of: a queue that is away is made up for.
        told = StoreUnavailable if kind is Unavailable else kind
        found.setdefault(status, []).append((kebab(told.__name__), inspect.getdoc(told) or ""))
    return found
