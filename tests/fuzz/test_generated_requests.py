"""Requests made from the description of the API, against the running stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack, copy_tree
from tests.fuzz.run import Fuzzer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """A service that asks for keys, and nobody else asking it."""
    folder = copy_tree(tmp_path_factory.mktemp("fuzzed"))
    with Stack(
        folder, AUTH="keys", RETRY_DELAY="1", WEBHOOK_SECRETS="0" * 32, PRIORITY_QUEUE="on"
    ) as stack:
        yield Fuzzer(stack)


def test_every_answer_is_one_that_the_description_promises(fuzzer: Fuzzer) -> None:
    phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", "20"]
    good, cases, report = fuzzer.ask("--generation-deterministic", *phases)
    assert good, report
    assert cases > 500


def test_every_answer_is_right_after_others_too(fuzzer: Fuzzer) -> None:
    """Follows the links from a created task to what can be done with it."""
    phases = ["--phases", "stateful", "--max-examples", "3", "--max-time", "60"]
    good, cases, report = fuzzer.ask("--generation-deterministic", *phases)
    assert good, report
    assert cases > 100
