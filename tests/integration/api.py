"""The app, spoken to over HTTP in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import app as front_door

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
        return self.client.http.request(method, path, headers=names, body=raw)

    def get(self, path: str) -> HTTPResponse:
        return self.call("GET", path)

    def post(self, body: Any) -> HTTPResponse:
        return self.call("POST", "/tasks", body, Content_Type="application/json")


def problem(response: HTTPResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    content: dict[str, Any] = json.loads(response.body)
    assert content["status"] == status
    for key in ("type", "title", "detail", "instance", "request_id"):
        assert isinstance(content[key], str)
        assert content[key]
    return content
