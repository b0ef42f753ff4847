"""Asks all routes in turn, with what schemathesis generates for each, right and wrong."""

from __future__ import annotations

import collections
import itertools
from typing import TYPE_CHECKING, Any

import hypothesis
import requests
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.fuzz import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOWEST = 2  # seconds that an answer may take
ROUND = 100  # requests of one sort before the next sort's turn
FAILED = 500

_settings = hypothesis.settings(
    max_examples=ROUND,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Fault(Exception):
    """An answer of 500 or above."""


class Many:
    """Asks one service, and keeps count of what it answers; ``slow`` has what took too long."""

    def __init__(self, url: str, key: str, seed: int) -> None:
        self._url, self._seed = url, seed
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._statuses: collections.Counter[int] = collections.Counter()
        self._slowest = 0.0
        self.slow: list[str] = []

    def ask(self, count: int) -> Iterator[int]:
        """Ask so many times; yields how often it has after each. Raises Fault."""
        asked = 0
        description = self._session.get(f"{self._url}/openapi.json", timeout=10).json()
        sorts = list(_sorts(schemathesis.openapi.from_dict(description)))
        for number, sort in enumerate(itertools.cycle(sorts)):
            for case in _generate(sort, self._seed + number):
                self._send(case)
                asked += 1
                yield asked
                if asked == count:
                    return

    def tally(self) -> str:
        """Tell how often each status was answered, and the slowest answer."""
        told = ", ".join(f"{status}: {times:,}" for status, times in sorted(self._statuses.items()))
        return f"{told}; slowest {self._slowest:.2f} s"

    def _send(self, case: Any) -> None:
        hooks.before_call(None, case, None)
        kwargs = case.as_transport_kwargs(base_url=self._url)
        # Keys are checked, so without ours nothing would be reached.
        kwargs["headers"]["Authorization"] = self._session.headers["Authorization"]
        answer = self._session.request(**kwargs, timeout=30, allow_redirects=False)
        seconds = answer.elapsed.total_seconds()
        self._statuses[answer.status_code] += 1
        self._slowest = max(self._slowest, seconds)
        told = f"{answer.status_code} after {seconds:.2f} s: {answer.text[:500]}"
        if answer.status_code >= FAILED:
            raise Fault(f"{told}\n{case.as_curl_command()}")
        if seconds > SLOWEST:
            self.slow.append(f"{told}\n{case.as_curl_command()}")


def _sorts(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield found.ok().as_strategy(generation_mode=mode)


def _generate(sort: Any, seed: int) -> list[Any]:
    cases: list[Any] = []

    @hypothesis.seed(seed)
    @_settings
    @hypothesis.given(sort)
    def keep(case: Any) -> None:
        cases.append(case)

    try:
        keep()
    except Unsatisfiable:
        return []  # nothing can be wrong with a request that takes nothing
    return cases
