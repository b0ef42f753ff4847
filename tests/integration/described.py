"""Holds what the app answers to what it says of itself."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from chalice.local import RouteMatcher

import app as front_door
from chalicelib.web.openapi import describe

if TYPE_CHECKING:
    from chalice.test import HTTPResponse

#: Headers that any answer may have, and that say nothing of what it holds.
USUAL = {"Cache-Control", "Content-Security-Policy", "Content-Type", "Referrer-Policy"} | {
    "X-Content-Type-Options"
}
_DESCRIPTION = describe(front_door.app, "")
_MATCHER = RouteMatcher(list(front_door.app.routes))


def check(method: str, path: str, response: HTTPResponse) -> None:
    """Fail if the answer has a status, a header, a media type or a body that is not described."""
    try:
        route = _MATCHER.match_route(path).route
    except ValueError:
        return  # no route of ours; the gateway's answer
    operation = _DESCRIPTION["paths"][route].get(method.lower())
    if operation is None:
        return  # the path does not have this method
    told = operation["responses"].get(str(response.status_code))
    assert told is not None, f"{method} {route} does not say that it answers {response.status_code}"
    told = _resolved(told)
    assert set(response.headers) <= USUAL | told.get("headers", {}).keys()
    content = told.get("content")
    if not content:
        assert not response.body
        return
    media_type = str(response.headers["Content-Type"]).partition(";")[0]
    assert media_type in content
    if media_type.endswith("json"):
        schema = json.dumps(content[media_type]["schema"])
        _validator(schema).validate(json.loads(response.body))


def _resolved(told: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in told:
        return told
    found: Any = _DESCRIPTION
    for step in told["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


@functools.cache
def _validator(schema: str) -> Any:
    whole = json.loads(schema) | {"components": _DESCRIPTION["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
