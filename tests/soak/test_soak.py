"""A small soak of the service, and of the plain algorithm that the oracle must find guilty."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from soak import oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
LIMIT = 120  # seconds

pytestmark = [pytest.mark.soak, pytest.mark.timeout(LIMIT + 30)]


class Run:
    """A soak in a session and a folder for temporary files of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        folder.chmod(0o755)  # as root, PostgreSQL runs as nobody
        self._output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "soak", "--json", str(folder / "report"), *arguments],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT}/chalice_app:{ROOT}",
                "TMPDIR": str(self._temporary),
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def end(self) -> int:
        return self.process.wait(LIMIT)

    def close(self) -> None:
        self.process.terminate()  # harmless when it has ended
        self.process.wait(30)
        self._output.close()

    @property
    def output(self) -> str:
        return (self._folder / "output").read_text()

    @property
    def violations(self) -> dict[str, int]:
        report: dict[str, Any] = json.loads((self._folder / "report").read_text())
        return {finding["rule"]: finding["violations"] for finding in report["findings"]}

    @property
    def faults(self) -> dict[str, int]:
        return dict(json.loads((self._folder / "report").read_text())["faults"])

    def left(self) -> list[str]:
        """What is still there of the run: its processes and its files."""
        mark = f"TMPDIR={self._temporary}".encode()
        processes = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ")]
        running = [number for number in processes if mark in _environ(number)]
        return [*running, *(path.name for path in self._temporary.iterdir())]


def _environ(number: str) -> bytes:
    try:
        return Path(f"/proc/{number}/environ").read_bytes()
    except OSError:
        return b""  # it ended, or is not ours


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def a_run(*arguments: str) -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="tasks-tests-") as folder:
        run = Run(Path(folder), *arguments)
        try:
            yield run
        finally:
            run.close()


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Run]]:
    # Both at once: most of their time is waiting.
    with (
        a_run("--tasks", "300") as ours,
        a_run("--tasks", "300", "--algorithm", "plain") as plain,
    ):
        yield {"ours": ours, "plain": plain}


def test_no_fault_loses_doubles_or_strands_a_task(runs: dict[str, Run]) -> None:
    run = runs["ours"]
    assert run.end() == 0, run.output
    assert set(run.violations.values()) == {0}
    assert run.faults["worker killed (kill -9)"] > 0
    assert run.faults["PostgreSQL stopped (immediate) and started"] > 0


def test_the_oracle_finds_what_the_plain_algorithm_loses_and_doubles(runs: dict[str, Run]) -> None:
    run = runs["plain"]
    assert run.end() == 1, run.output
    assert run.violations[oracle.STUCK] > 0
    assert run.violations[oracle.TWICE] + run.violations[oracle.STALE] > 0
    assert run.violations[oracle.REOPENED] > 0


def test_a_soak_leaves_nothing_behind(runs: dict[str, Run]) -> None:
    for run in runs.values():
        run.end()
        until(lambda run=run: run.left() == [], 10)  # type: ignore[misc]


def test_an_interrupted_soak_leaves_nothing_behind() -> None:
    with a_run("--tasks", "300") as run:
        until(lambda: "posting" in run.output, 40)
        assert len(run.left()) > 5
        os.killpg(run.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        assert run.end() == 130
        until(lambda: run.left() == [], 10)
