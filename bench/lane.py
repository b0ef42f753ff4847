"""A contestant's process, driven from here."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench import witness
from bench.wire import Counter
from localdev import processes
from localdev.errors import StackError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from bench.stage import Home

#: Seconds that a process has to end by itself.
_PATIENCE = 5
#: Calls that come before those that are measured.
_WARM = 2


@dataclass(frozen=True)
class Case:
    """What is asked of a contestant: so many calls, each for ``batch`` tasks.

    ``calls`` holds for whoever is not in ``fewer``.
    """

    name: str
    what: str
    batch: int
    calls: int
    role: str = "api"
    fewer: tuple[tuple[str, int], ...] = ()

    def calls_of(self, name: str) -> int:
        """Return how often a contestant is called in a round."""
        return dict(self.fewer).get(name, self.calls)

    def warming(self, name: str) -> tuple[Case, int]:
        """Return what opens a contestant's connections and fills its caches, and how often."""
        slow = name in dict(self.fewer)
        return replace(self, batch=1) if slow else self, _WARM


@dataclass(frozen=True)
class Run:
    """What a round told: seconds of each call, seconds of CPU in all, most memory in bytes."""

    times: list[float]
    cpu: float
    memory: int
    statements: dict[str, list[float]]


class Lane:
    """A process of a contestant in one role; as a context manager it ends with the block."""

    def __init__(self, home: Home, role: str, **more: str) -> None:
        """Start it; ``more`` is added to its environment."""
        self.name = home.name
        self._log = home.log
        with home.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own modules)
                [home.python, "-m", "bench.child", home.module, role],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=processes.ROOT,
                env=processes.python_environ({**home.environ, **more}),
                text=True,
            )
        self._hear()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def run(self, case: Case, calls: int) -> Run:
        """Have a case run. Raises StackError, with the process's last lines, if it cannot."""
        asked = {"case": case.what, "batch": case.batch, "calls": calls}
        if self._process.stdin:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        told = self._hear()
        return Run(told["times"], told["cpu"], told["memory"], told["statements"])

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            lines = processes.last_lines(self._log)
            raise StackError(f"{self.name} ended; the end of its log:\n{lines}")
        told: dict[str, Any] = json.loads(line)
        return told


@dataclass(frozen=True)
class Count:
    """What a call says at the wire, for each task of it.

    ``by_server`` is how many statements PostgreSQL itself counted.
    """

    statements: float
    by_server: float
    round_trips: float
    connections: float
    aws_calls: float


#: Calls that are counted.
_COUNTED = 4


class CountedLane(Lane):
    """A process whose every word to PostgreSQL and SQS is counted; no clock runs."""

    def __init__(self, home: Home, role: str) -> None:
        """Start it behind counters."""
        database, endpoint = home.environ["DATABASE_URL"], home.environ["AWS_ENDPOINT_URL_SQS"]
        self._postgres = Counter(urlsplit(database).port or 0, postgres=True)
        self._sqs = Counter(urlsplit(endpoint).port or 0, postgres=False)
        super().__init__(
            home,
            role,
            DATABASE_URL=_at(database, self._postgres.port),
            AWS_ENDPOINT_URL_SQS=_at(endpoint, self._sqs.port),
            BENCH_QUEUE_URL=_at(home.environ["BENCH_QUEUE_URL"], self._sqs.port),
            **witness.SEEN,
        )
        self._server = home.server

    def count(self, case: Case) -> Count:
        """Run a case and return what it says once its connections are open."""
        calls = min(_COUNTED, case.calls_of(self.name))
        self.run(*case.warming(self.name))
        said, sent = self._postgres.tally, self._sqs.tally
        said.clear()
        sent.clear()
        with witness.watching(self._server) as seen:
            self.run(case, calls)
        tasks = calls * case.batch
        return Count(
            said.statements / tasks,
            seen.statements / tasks,
            said.round_trips / tasks,
            said.connections / tasks,
            sent.round_trips / tasks,
        )

    def close(self) -> None:
        """End the process and what counts."""
        super().close()
        self._postgres.close()
        self._sqs.close()


def _at(url: str, port: int) -> str:
    return url.replace(f":{urlsplit(url).port}", f":{port}")
