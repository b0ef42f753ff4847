"""The app on a database of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from chalice.test import Client

import app as front_door
from chalicelib import runtime
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.fakes import FakeQueue
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


from tests.integration.api import PROJECT, Api

USUAL = {"auth": "off", "partial_batch": "report"}


@pytest.fixture
def api_of(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(url: str = database_url, **values: Any) -> Api:
        queue = FakeQueue()
        whole = Runtime(
            Settings.model_validate(USUAL | {"database_url": url} | values), queue=queue
        )
        monkeypatch.setattr(runtime, "current", lambda: whole)
        client = Client(front_door.app, project_dir=str(PROJECT))
        made.append(Api(whole, client, Table(database_url), queue))
        return made[-1]

    yield make
    for api in made:
        api.runtime.database.close()
        api.table.close()


@pytest.fixture
def api(api_of: Callable[..., Api]) -> Api:
    return api_of()


@pytest.fixture
def keyed(api_of: Callable[..., Api]) -> Api:
    """The app as it is deployed: every request needs a key."""
    return api_of(auth="keys")
