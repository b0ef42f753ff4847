"""What the function admin answers to ``{"action": "diagnose"}``, on a real PostgreSQL."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from chalicelib import migrations
from chalicelib.errors import StoreUnavailable
from chalicelib.store import health

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.api import Api


def diagnosed(api: Api) -> dict[str, Any]:
    answer = api.runtime.admin.handle({"action": "diagnose"})
    return dict(json.loads(json.dumps(answer)))  # as Lambda hands it on


def test_an_empty_service_has_no_backlog_and_the_schema_it_wants(api: Api) -> None:
    told = diagnosed(api)
    newest = migrations.newest_version()
    assert told["schema"] == {"found": newest, "wanted": newest}
    assert set(told["backlog"].values()) == {0}
    assert told["server"]["max_connections"] > told["server"]["reserved"] > 0
    assert told["server"]["standby"] is False


def test_a_clock_that_goes_wrong_is_seen(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    server = diagnosed(api)["server"]
    assert abs(server["clock_ahead"]) <= server["clock_error"] + 0.01  # the same machine's
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 90)
    assert 89 < diagnosed(api)["server"]["clock_ahead"] < 91


def test_every_kind_of_neglect_is_told_with_its_age(api: Api) -> None:
    table = api.table
    at = table.at
    table.arrange("pending", dispatch_after="-infinity", created_at=at(-70), run_at=at(-70))
    table.arrange("retrying", dispatch_after="-infinity", updated_at=at(-30), run_at=at(800))
    table.arrange("pending", dispatch_after="-infinity", run_at=at(5000))  # is not to be sent yet
    table.arrange("pending", dispatch_after=at(-200))
    table.arrange("pending", dispatch_after=at(200), expires_at=at(-20))
    table.update(table.arrange("processing"), lease_until=at(-40))
    table.arrange("processing")
    table.arrange("failed")
    told = diagnosed(api)["backlog"]
    ages = {name: round(told.pop(name)) for name in list(told) if name.endswith("_for")}
    assert told == {
        "waiting": 5,
        "processing": 2,
        "failed": 1,
        "unsent": 2,
        "presumed": 1,
        "lost": 1,
        "late": 1,
    }
    assert ages == {"unsent_for": 70, "presumed_for": 200, "lost_for": 40, "late_for": 20}


def test_connections_of_others_are_told_apart_from_our_own(api: Api, postgres_url: str) -> None:
    before = diagnosed(api)["server"]["others"]
    url = api.runtime.settings.database_url
    ours = psycopg2.connect(url, application_name="chalice-tasks")
    assert diagnosed(api)["server"]["others"] == before
    theirs = [psycopg2.connect(url), psycopg2.connect(postgres_url)]
    assert diagnosed(api)["server"]["others"] == before + 2
    for one in (ours, *theirs):
        one.close()


def test_a_role_without_rights_sees_the_others_and_its_own_limit(
    api_of: Callable[..., Api], own_database_url: str, postgres_url: str
) -> None:
    admin = psycopg2.connect(postgres_url)
    admin.autocommit = True
    name = parse_dsn(own_database_url)["dbname"]
    with admin.cursor() as cursor:
        cursor.execute(f"create role {name} login password 'p' connection limit 7")
        cursor.execute(f"grant pg_read_all_data to {name}")
    parts = parse_dsn(own_database_url)
    url = f"postgresql://{name}:p@{parts['host']}:{parts.get('port', 5432)}/{name}"
    try:
        told = diagnosed(api_of(url))
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f"revoke pg_read_all_data from {name}")
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name]
            )
            cursor.execute(f"drop role {name}")
        admin.close()
    assert told["server"]["role_limit"] == 7
    assert told["server"]["others"] >= 1
    assert told["backlog"]["waiting"] == 0


def test_a_database_without_a_schema_still_tells_of_its_server(
    api_of: Callable[..., Api], empty_url: str
) -> None:
    told = diagnosed(api_of(empty_url))
    assert told["schema"] == {"found": 0, "wanted": migrations.newest_version()}
    assert told["backlog"] is None
    assert told["server"]["max_connections"]


def test_a_database_that_is_away_is_an_error(api_of: Callable[..., Api]) -> None:
    with pytest.raises(StoreUnavailable):
        diagnosed(api_of("postgresql://x:x@127.0.0.1:1/x"))


def test_counting_stops_where_it_costs(api: Api) -> None:
    api.table.run(
        "insert into tasks (title, dispatch_after) select 'x', '-infinity'"
        " from generate_series(1, %s)",
        [health.MOST + 5],
    )
    told = diagnosed(api)["backlog"]
    assert (told["waiting"], told["unsent"]) == (health.MOST, health.MOST)
