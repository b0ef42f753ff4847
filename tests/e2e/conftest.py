from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack, copy_tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that leave it as they found it; retries come after a second."""
    folder = copy_tree(tmp_path_factory.mktemp("stack"))
    with Stack(folder, RETRY_DELAY="1") as running:
        running.call("POST", "/tasks", {"title": "The first"})  # the README asks for number 1
        yield running
