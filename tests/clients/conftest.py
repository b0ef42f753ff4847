from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.tree import ROOT

# The client is a package of its own and not installed here.
if (SOURCE := str(ROOT / "clients/python/src")) not in sys.path:
    sys.path.insert(0, SOURCE)

from tasks_client import Client, clock
from tests.clients.fake_service import FakeService
from tests.e2e.stack import Stack, copy_tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    """A service whose clock is the client's: both jump, and nobody sleeps."""
    made = FakeService()
    monkeypatch.setattr(clock, "now", lambda: made.now)
    monkeypatch.setattr(clock, "sleep", made.sleep)
    return made


@pytest.fixture
def pauses(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client slept each time; jitter is out of it."""
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    return service.sleeps


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with Client("http://tasks.test/prod", "tk_1_secret", transport=service.transport) as made:
        yield made


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running service; retries come after a second."""
    with Stack(copy_tree(tmp_path_factory.mktemp("stack")), RETRY_DELAY="1") as running:
        yield running
