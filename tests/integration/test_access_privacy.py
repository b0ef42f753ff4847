"""No key, no hash and no tenant is told: in no log line, no error and no view.

What spans tell is names of ours and numbers alone; tests/integration/test_traces.py holds that.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest

import app as front_door
from chalicelib.logs import JsonLines
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer
from tests.integration.routes import GUARDED, ROUTES

if TYPE_CHECKING:
    from tests.fakes import Heard

TENANT = "canary-tenant"


def secrets_of(key: str) -> list[str]:
    """Return what must not be told of a key, in every way it might be written."""
    digest = hashlib.sha256(key[20:].encode()).digest()
    return [TENANT, key[20:], digest.hex(), base64.b64encode(digest).decode(), repr(digest)[2:-1]]


def everybody(api: Api, key: str) -> list[str]:
    """Ask every route, well and badly, and return all that was answered."""
    headers: list[dict[str, str]] = [
        bearer(key),
        bearer(f"{key[:20]}{'A' * 43}"),
        bearer(f"{key}x"),
        {"Authorization": f"Basic {key}"},
    ]
    told = []
    for route in ROUTES.values():
        for header in headers:
            number = api.table.arrange("failed", tenant=TENANT)
            response = route.send(api, number, **header)
            told.append(response.body.decode() + str(response.headers))
    return told


def test_neither_answers_nor_log_lines_tell_of_keys_and_tenants(keyed: Api, heard: Heard) -> None:
    key = keyed.key(TENANT)
    told = everybody(keyed, key)
    front_door.work({"Records": keyed.queue.receive()}, FakeContext())
    told += logged(heard)
    assert {"task_created", "task_completed", "key_created"} <= set(heard.events())
    assert [secret for secret in secrets_of(key) if secret in "\n".join(told)] == []


def logged(heard: Heard) -> list[str]:
    return [JsonLines().format(record) for record in heard.records]


@pytest.mark.parametrize("route", sorted(GUARDED.keys() - {"GET /kinds"}))  # needs no table
def test_a_database_without_its_table_makes_nothing_tell_of_keys_and_tenants(
    keyed: Api, heard: Heard, route: str
) -> None:
    key = keyed.key(TENANT)
    table = "schedules" if "schedules" in route else "tasks"
    keyed.table.run(f"alter table {table} rename to elsewhere")
    try:
        response = GUARDED[route].send(keyed, 1, **bearer(key))
    finally:
        keyed.table.run(f"alter table elsewhere rename to {table}")
    assert response.status_code == 503
    told = "\n".join([response.body.decode(), *logged(heard)])
    assert [secret for secret in secrets_of(key) if secret in told] == []


@pytest.mark.parametrize("route", ["POST /tasks", "POST /tasks/batch"])
def test_a_database_that_quotes_a_row_is_not_quoted_with_its_tenant(
    keyed: Api, heard: Heard, route: str
) -> None:
    key = keyed.key(TENANT)
    keyed.table.run("alter table tasks add constraint surprise check (tenant not like 'canary%')")
    try:
        response = GUARDED[route].send(keyed, 1, **bearer(key))
    finally:
        keyed.table.run("alter table tasks drop constraint surprise")
    assert response.status_code == 500
    assert "request_failed" in heard.events()
    told = "\n".join([response.body.decode(), *logged(heard)])
    assert [secret for secret in secrets_of(key) if secret in told] == []
