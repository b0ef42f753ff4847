"""The services as they run: an HTTP server and one worker each, on a stage's servers."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.budgets import FLOOR, OURS, PLAIN
from localdev import processes
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.stage import Home, Stage

#: Seconds for a start.
_START = 90
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Service:
    """A service that runs: where it answers, and its database."""

    name: str
    url: str
    database: str


@contextlib.contextmanager
def ours(stage: Stage) -> Iterator[Service]:
    """Run the local stack with one worker. Raises StackError if it does not start."""
    home = stage.ours("ours_whole")
    with processes.listen() as listener:
        port = listener.getsockname()[1]
    arguments = ["--workers", "1", "--data", str(home.log.with_suffix("")), "--port", str(port)]
    command = [sys.executable, "-m", "localdev", "up", *arguments, "--json"]
    with _process(command, home) as process:
        yield _started(OURS, home, process, f"http://{processes.HOST}:{port}/readyz")


@contextlib.contextmanager
def plain(stage: Stage) -> Iterator[Service]:
    """Run the plain API and one worker. Raises StackError if it does not start."""
    home = stage.plain(_anew(PLAIN))
    with processes.listen() as listener:
        port, descriptor = listener.getsockname()[1], listener.fileno()
        server: list[str | Path] = [home.python, "-m", "bench.plain_server", str(descriptor)]
        # One that stalls ends by no signal but the last.
        with _process(server, home, [descriptor], 1) as process, _process(_worker(PLAIN), home):
            yield _started(PLAIN, home, process, f"http://{processes.HOST}:{port}/openapi.json")


@contextlib.contextmanager
def floor(stage: Stage) -> Iterator[Home]:
    """Run a worker that does no more than the bare calls; its tasks are made without a service."""
    home = stage.floor(_anew(FLOOR))
    with _process(_worker(FLOOR), home):
        yield home


def _anew(name: str) -> str:
    # A worker that was ended may still be waited for at its queue, and be given a message there.
    return f"{name}_{next(_numbers)}"


def _worker(name: str) -> list[str | Path]:
    return [sys.executable, "-m", "bench.mapping", name]


@contextlib.contextmanager
def _process(
    command: Sequence[str | Path], home: Home, descriptors: Sequence[int] = (), patience: float = 10
) -> Iterator[subprocess.Popen[bytes]]:
    with home.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own modules)
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=processes.ROOT,
            env=processes.python_environ(home.environ),
            pass_fds=descriptors,
            preexec_fn=functools.partial(processes.die_with_parent, signal.SIGTERM),  # noqa: PLW1509
            start_new_session=True,
        )
    try:
        yield process
    finally:
        processes.stop(process, signal.SIGTERM, patience)


def _started(name: str, home: Home, process: subprocess.Popen[bytes], url: str) -> Service:
    parts = urlsplit(url)
    deadline = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(parts.netloc, parts.path):
            return Service(name, f"http://{parts.netloc}", home.environ["DATABASE_URL"])
        time.sleep(0.1)
    lines = processes.last_lines(home.log)
    raise StackError(f"{name} did not start; the end of its log:\n{lines}")


def _answers(address: str, path: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    return False
