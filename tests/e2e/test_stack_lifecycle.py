from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from localdev.postgres import PostgreSQL
from localdev.processes import ROOT
from localdev.sqs import SqsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

psutil: Any = importlib.import_module("psutil")  # has no types


class Stack:
    """A stack in a process of its own, with what it printed."""

    def __init__(self, folder: Path, port: int, *flags: str, **environ: str) -> None:
        self.folder, self.port = folder, port
        taken = ("AWS_", "DATABASE_URL", "QUEUE_NAME")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
        arguments = ["up", "--port", str(port), "--data", str(folder), *flags]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localdev", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=kept | environ,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.lines.extend(line.rstrip("\n") for line in iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_until_ready(self) -> None:
        eventually(lambda: f"ready http://127.0.0.1:{self.port}" in self.lines, 30, self)

    def end(self) -> int:
        status = self.process.wait(20)
        self._reader.join(5)
        return status

    def family(self) -> list[Any]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def part(self, sign: str) -> Any:
        """Return the process started last of those with ``sign`` in their command."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if sign in " ".join(child.cmdline()))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def post(self, title: str) -> int:
        status, task = self.ask("POST", "/tasks", {"title": title})
        assert status == 201
        return int(task["id"])

    def completed(self, *tasks: int) -> bool:
        return all(self.ask("GET", f"/tasks/{task}")[1]["status"] == "completed" for task in tasks)


def eventually(
    condition: Callable[[], object], seconds: float = 10, stack: Stack | None = None
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        said = stack.text if stack else ""
        assert time.monotonic() < deadline, f"it did not happen in time\n{said}"
        assert stack is None or stack.process.poll() is None, f"the stack ended\n{said}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def gone(processes: list[Any]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localdev", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environ,
        timeout=60,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack") / "data"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that is left running, for those who only look at it."""
    with Stack(tmp_path_factory.mktemp("shared") / "data", free_port()) as stack:
        yield stack


def test_a_task_posted_when_it_says_ready_is_completed(stack: Stack) -> None:
    task = stack.post("first")
    eventually(lambda: stack.completed(task), 10, stack)
    said = re.compile(rf"^\d\d:\d\d:\d\d ✓ task {task} completed", re.MULTILINE)
    eventually(lambda: said.search(stack.text), 5, stack)
    assert "Traceback" not in stack.text


def test_a_second_start_says_where_the_first_one_is(stack: Stack) -> None:
    port, pid = stack.port, stack.process.pid
    second = run("up", "--port", str(port), "--data", str(stack.folder))
    assert second.returncode == 1
    assert second.stderr.strip() == (
        f"already running at http://127.0.0.1:{port} (process {pid}); "
        f"stop it with Ctrl-C there, or: kill {pid}"
    )
    assert stack.ask("GET", "/healthz")[0] == 200


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--port", str(port), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"port {port} is taken")
    assert f"scripts/dev.sh --port {port + 1}" in done.stderr
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"lock"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_is_no_error(
    folder: Path, port: int, number: signal.Signals
) -> None:
    with Stack(folder, port) as stack:
        family = stack.family()
        assert len(family) > 5
        stack.process.send_signal(number)
        assert stack.end() == 0
    assert gone(family)
    assert "Traceback" not in stack.text


def test_a_signal_during_the_start_stops_everything(folder: Path, port: int) -> None:
    stack = Stack(folder, port)
    eventually(stack.family, 10, stack)
    time.sleep(0.2)
    family = stack.family()
    stack.process.send_signal(signal.SIGINT)
    assert stack.end() == 0, stack.text
    eventually(lambda: gone(family), 2)


def test_after_a_kill_nothing_is_left_and_a_new_start_has_the_tasks(
    folder: Path, port: int
) -> None:
    with Stack(folder, port) as stack:
        task = stack.post("kept")
        eventually(lambda: stack.completed(task), 10, stack)
        family = stack.family()
        stack.process.kill()
        stack.end()
        with Stack(folder, port) as again:
            assert again.completed(task)
        eventually(lambda: gone(family), 5)


def test_tasks_whose_messages_went_with_sqs_are_completed_after_the_next_start(
    folder: Path, port: int
) -> None:
    # As a create leaves them whose messages were sent, and are not missed for an hour.
    statement = """
        INSERT INTO tasks (title, dispatch_after)
        SELECT 'waiting', now() + interval '1 hour' FROM generate_series(1, 25) RETURNING id
    """
    with Stack(folder, port):
        printed = run("psql", "--data", str(folder), "-qAtc", statement).stdout
        tasks = [int(line) for line in printed.splitlines()]
    assert len(tasks) == 25
    with Stack(folder, port) as again:
        eventually(lambda: again.completed(*tasks), 20, again)


def test_a_task_whose_worker_went_with_the_stack_is_taken_up_again(folder: Path, port: int) -> None:
    # As a worker leaves it that is killed in the middle, its lease far from over.
    statement = """
        INSERT INTO tasks
            (title, status, attempt, lease_token, lease_until, started_at, updated_at)
        VALUES
            ('cut off', 'processing', 1, gen_random_uuid(), now() + interval '1 hour', now(), now())
        RETURNING id
    """
    with Stack(folder, port):
        task = int(run("psql", "--data", str(folder), "-qAtc", statement).stdout)
    with Stack(folder, port) as again:
        eventually(lambda: again.completed(task), 10, again)


def test_servers_of_the_users_own_are_used_and_left_running(tmp_path: Path, port: int) -> None:
    with PostgreSQL(tmp_path / "postgres", durable=False) as postgres, SqsServer() as sqs:
        postgres.create_database("mine")
        urls = {"DATABASE_URL": postgres.url("mine"), "AWS_ENDPOINT_URL_SQS": sqs.endpoint}
        with Stack(tmp_path / "data", port, QUEUE_NAME="mine", **urls) as stack:
            task = stack.post("elsewhere")
            eventually(lambda: stack.completed(task), 10, stack)
            commands = [" ".join(process.cmdline()) for process in stack.family()]
            assert not [line for line in commands if "sqs_server" in line or "pg18" in line]
        assert postgres.running()
        assert sqs.running()


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("postgres", "pg18"),
        ("sqs", "localdev.sqs_server"),
        ("mapping", "localdev.mapping"),
        ("http", "localdev.http_server"),
    ],
)
def test_a_part_that_dies_is_named_and_ends_the_stack(
    folder: Path, port: int, name: str, sign: str
) -> None:
    with Stack(folder, port) as stack:
        family = stack.family()
        stack.part(sign).kill()
        assert stack.end() == 1
    assert f"{name} died; its last lines:" in stack.text
    eventually(lambda: gone(family), 5)


def test_json_lines_are_passed_through(folder: Path, port: int) -> None:
    with Stack(folder, port, "--json") as stack:
        task = stack.post("as JSON")
        eventually(lambda: '"task_completed"' in stack.text, 10, stack)
        found = [json.loads(line) for line in stack.lines if line.startswith("{")]
    assert {"task_created", "task_completed"} <= {line["event"] for line in found}
    assert task in {line.get("task_id") for line in found}


def test_the_data_folder_and_what_is_in_it_are_closed_to_others(stack: Stack) -> None:
    folder = stack.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_commands_reach_the_running_stack(stack: Stack) -> None:
    data = ("--data", str(stack.folder))
    query = ("-Atc", "SELECT current_database()")
    assert run("psql", *data, *query).stdout == "interview_db\n"
    attributes = json.loads(run("attributes", *data).stdout)
    assert set(attributes) == {"interview-queue", "interview-queue-dlq"}
    assert attributes["interview-queue"]["VisibilityTimeout"] == "360"
    lines = dict(
        line.removeprefix("export ").split("=", 1) for line in run("env", *data).stdout.splitlines()
    )
    assert lines["QUEUE_NAME"] == "'interview-queue'"
    assert lines["DATABASE_URL"].startswith("'postgresql://postgres:")
    assert json.loads(run("receive", *data).stdout) is None
    assert stack.process.poll() is None


def test_a_command_without_a_running_stack_says_how_to_start_it(tmp_path: Path) -> None:
    done = run("env", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip() == f"nothing runs in {tmp_path}; start it first: scripts/dev.sh"


def test_aws_itself_is_refused(tmp_path: Path, port: int) -> None:
    endpoint = "https://sqs.us-east-1.amazonaws.com"
    arguments = ("up", "--port", str(port), "--data", str(tmp_path / "data"))
    done = run(*arguments, AWS_ENDPOINT_URL_SQS=endpoint)
    assert done.returncode == 1
    assert "AWS itself" in done.stderr


def test_odd_requests_get_an_answer_and_leave_no_traceback(stack: Stack) -> None:
    chunked = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    cut_short = b'11\r\n{"title": "chunk"\r\n0\r\n\r\n'
    odd = {
        b"HEAD /healthz HTTP/1.1\r\n\r\n": b"405",
        b"BREW /tasks HTTP/1.1\r\n\r\n": b"501",
        b"POST /tasks HTTP/1.1\r\nContent-Length: many\r\n\r\n": b"400",
        b"POST /tasks HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n": b"413",
        b"POST /tasks HTTP/1.1\r\n" + chunked + b"zz\r\n": b"400",
        b"POST /tasks HTTP/1.1\r\n" + chunked + cut_short: b"4",
        b"GET /healthz\x00 HTTP/1.1\r\n\r\n": b"403",
        b"nonsense\r\n\r\n": b"400",
    }
    for request, status in odd.items():
        with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as connection:
            connection.sendall(request)
            answer = connection.recv(65536)
            assert status in answer.split(b"\r\n")[0], (request, answer)
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(b"POST /tasks HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf a")
    assert stack.ask("GET", "/healthz")[0] == 200
    assert "Traceback" not in stack.text


def test_a_chunked_body_is_read_whole(stack: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        body = iter([b'{"title": "in', b' pieces"}'])
        connection.request("POST", "/tasks", body=body, headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 201
        assert json.loads(answer.read())["title"] == "in pieces"


def test_a_kept_connection_is_answered_without_a_pause(stack: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    with contextlib.closing(connection):
        times = []
        for _ in range(50):
            started = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            times.append(time.perf_counter() - started)
    # With Nagle's algorithm and delayed acknowledgements every one would take 40 ms.
    assert sorted(times)[25] < 0.03
