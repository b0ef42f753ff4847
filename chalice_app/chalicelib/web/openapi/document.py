"""Puts the description together."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from chalicelib.web.openapi import operations, refusals, schemas
from chalicelib.web.openapi.routes import routes_of

if TYPE_CHECKING:
    from chalice.app import Chalice

VERSION = "0.1.0"

_ABOUT = """Creates tasks, works them in the background, and tells what became of them.

Every error is a problem (RFC 9457). A key is sent as `Authorization: Bearer tk_...`; where the
service runs on a laptop with `AUTH=off`, none is needed."""


@functools.lru_cache(maxsize=4)  # an API has one root, or one more for its own domain
def description(app: Chalice, root: str) -> str:
    """Return what ``describe`` does, as JSON."""
    return json.dumps(describe(app, root), ensure_ascii=False, separators=(",", ":"))


def describe(app: Chalice, root: str) -> dict[str, Any]:
    """Return the description of the routes of ``app``; ``root`` is the path that they lie below."""
    routes = routes_of(app)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        told = operations.describe(route, routes)
        paths.setdefault(route.path, {})[route.method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tasks", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": root or "/"}],
        "tags": [
            {"name": "tasks", "description": "Creating tasks, and what can be done with them"},
            {"name": "service", "description": "The service itself, and its description"},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.components(routes),
            "parameters": operations.PARAMETERS,
            "headers": operations.HEADERS,
            "responses": refusals.responses(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
