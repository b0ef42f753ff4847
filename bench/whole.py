"""The running local stack over HTTP: from a POST to the task's end."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg2

from localdev import door, parts, processes, state
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENTS, SMOKE_CLIENTS = (1, 16, 64), (1, 2)
TASKS, SMOKE_TASKS = 1000, 10
#: Seconds for a start, and for the last task to end.
_START, _END = 90, 300
_TIMES = """
select count(*) filter (where status = 'completed'),
       percentile_cont(array[0.5, 0.99]) within group (
           order by extract(epoch from started_at - created_at)::float8),
       percentile_cont(array[0.5, 0.99]) within group (
           order by extract(epoch from finished_at - created_at)::float8),
       extract(epoch from max(finished_at) - min(created_at))::float8
  from tasks where id > %s
"""


def measured(
    clients: tuple[int, ...], tasks: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return a row for each number of clients. Raises StackError if a task does not end."""
    with tempfile.TemporaryDirectory(prefix="tasks-bench-") as folder, _stack(folder) as running:
        _run(running, 2, 10)  # opens connections, fills caches
        rows = []
        for count in clients:
            say(f"{tasks} tasks of {count} clients …")
            rows.append(_run(running, count, tasks))
    return rows


@contextlib.contextmanager
def _stack(folder: str) -> Iterator[state.Running]:
    Path(folder).chmod(0o755)  # as root, PostgreSQL runs as nobody
    data, log = Path(folder, "data"), Path(folder, "log")
    with processes.listen() as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "localdev", "up", "--data", str(data), "--port", str(port)]
    environ = parts.environ_of_parts({"PATH": os.environ["PATH"]}, {})
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  (our own modules)
            [*command, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=processes.ROOT,
            env=processes.python_environ(environ),
        )
    try:
        _wait(process, data, f"http://{processes.HOST}:{port}/", log)
        yield state.read(data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait(process: subprocess.Popen[bytes], data: Path, url: str, log: Path) -> None:
    deadline = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(StackError):
            state.read(data)
            if not door.readiness(url, here=True):
                return
        time.sleep(0.1)
    raise StackError(f"the stack did not start:\n{processes.last_lines(log)}")


def _run(running: state.Running, clients: int, tasks: int) -> dict[str, Any]:
    address = running.environ["DATABASE_URL"]
    with contextlib.closing(psycopg2.connect(address)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select coalesce(max(id), 0) from tasks")
            [[before]] = cursor.fetchall()
            posts, refused = _posted(running.url, clients, tasks)
            start, end, whole = _ended(cursor, before, tasks - refused)
    return {
        "clients": clients,
        "POST p50 ms": statistics.median(posts) * 1000,
        "POST p99 ms": posts[int(len(posts) * 0.99)] * 1000,
        "POST slowest ms": posts[-1] * 1000,
        "not 201": refused,
        "begun after p50 ms": start[0] * 1000,
        "begun after p99 ms": start[1] * 1000,
        "completed after p50 ms": end[0] * 1000,
        "completed after p99 ms": end[1] * 1000,
        "tasks/s": tasks / whole,
    }


def _ended(cursor: Any, before: int, tasks: int) -> tuple[list[float], list[float], float]:
    deadline = time.monotonic() + _END
    while True:
        cursor.execute(_TIMES, [before])
        [(ended, start, end, whole)] = cursor.fetchall()
        if ended >= tasks:
            return start, end, whole
        if time.monotonic() > deadline:
            raise StackError(f"of {tasks} tasks {ended} were completed in {_END} s")
        time.sleep(0.1)


def _posted(url: str, clients: int, tasks: int) -> tuple[list[float], int]:
    times: list[float] = []
    statuses: list[int] = []
    numbers = iter(range(tasks))
    lock = threading.Lock()

    def post() -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                begun = time.perf_counter()
                answer = client.post("/tasks", json={"title": f"Task {number}"})
                times.append(time.perf_counter() - begun)
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=post) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != tasks:
        raise StackError(f"of {tasks} requests {len(times)} were answered")
    return sorted(times), sum(status != httpx.codes.CREATED for status in statuses)
