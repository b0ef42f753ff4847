"""The app, spoken to over HTTP in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import app as front_door
from tests.integration import described

if TYPE_CHECKING:
    from chalice.test import Client, HTTPResponse

    from chalicelib.runtime import Runtime
    from tests.fakes import FakeQueue
    from tests.world import Table


PROJECT = Path(front_door.__file__).parent


class Api:
    """The app, spoken to over HTTP; ``queue`` and ``table`` are what lies behind it."""

    def __init__(self, made: Runtime, client: Client, table: Table, queue: FakeQueue) -> None:
        self.runtime = made
        self.client = client
        self.table = table
        self.queue = queue

    def call(self, method: str, path: str, body: Any = b"", **headers: str) -> HTTPResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.http.request(method, path, headers=names, body=raw)
        described.check(method, path, response)
        return response

    def get(self, path: str, **headers: str) -> HTTPResponse:
        return self.call("GET", path, **headers)

    def post(self, body: Any, **headers: str) -> HTTPResponse:
        return self.call("POST", "/tasks", body, Content_Type="application/json", **headers)

    def key(self, tenant: str = "acme", *scopes: str, **more: Any) -> str:
        """Make a key and return its text; all scopes but admin if none is given."""
        asked = {"action": "create", "tenant": tenant, "name": "a test's"}
        wanted = list(scopes) or ["tasks:read", "tasks:write"]
        made = self.runtime.admin.handle(asked | {"scopes": wanted} | more)
        return str(made["text"])


def bearer(key: str) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"Authorization": f"Bearer {key}"}


def problem(response: HTTPResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    content: dict[str, Any] = json.loads(response.body)
    assert content["status"] == status
    for key in ("type", "title", "detail", "instance", "request_id"):
        assert isinstance(content[key], str)
        assert content[key]
    return content
