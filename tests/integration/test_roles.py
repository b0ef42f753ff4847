"""The service works under a role that owns nothing, with the rights that the docs tell of."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

import app as front_door
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCS = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
GRANTS = re.findall(r"^grant .*;$", DOCS, re.MULTILINE)


@pytest.fixture
def role(own_database_url: str) -> Iterator[tuple[str, str]]:
    """The URL of a database for a role with the documented rights, and the owner's."""
    name = f"tasks_{uuid.uuid4().hex[:8]}"
    owner = psycopg2.connect(own_database_url)
    owner.autocommit = True
    with owner.cursor() as cursor:
        try:
            cursor.execute(f"create role {name} login password 'test'")
        except psycopg2.errors.InsufficientPrivilege:
            pytest.skip("TEST_DATABASE_URL names a user who may not create roles")
        for grant in GRANTS:
            cursor.execute(re.sub(r"\bapp;$", f"{name};", grant))
    parts = parse_dsn(make_dsn(own_database_url))
    place = f"{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"
    yield f"postgresql://{name}:test@{place}", own_database_url
    with owner.cursor() as cursor:
        cursor.execute(f"drop owned by {name}")
        cursor.execute(f"drop role {name}")
    owner.close()


def test_the_documented_rights_are_enough_for_every_part_and_no_more(
    role: tuple[str, str], api_of: Callable[..., Api]
) -> None:
    api = api_of(role[0], auth="keys", rate_limit=100, open_limit=100)
    headers = bearer(api.key())

    def number(response: Any) -> int:
        assert response.status_code == 201, response.body
        return int(json.loads(response.body)["id"])

    task = number(api.post({"title": "x"}, Idempotency_Key='"k"', **headers))
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    assert json.loads(api.get(f"/tasks/{task}", **headers).body)["status"] == "completed"
    assert api.runtime.sweeper.sweep(lambda: 50.0)
    assert api.get("/readyz").status_code == 200
    assert api.call("DELETE", f"/tasks/{task}", **headers).status_code == 204
    stranger = psycopg2.connect(role[0])
    with stranger.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("drop table tasks")
    stranger.close()
    api.runtime.database.close()
