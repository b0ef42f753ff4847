from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from localdev import console, processes, servers, state
from localdev.errors import StackError
from localdev.postgres import PostgreSQL
from localdev.processes import ROOT
from localdev.sqs import SqsServer
from localdev.supervisor import Options, Supervisor
from tests.house import logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

psutil: Any = importlib.import_module("psutil")  # has no types


def without_servers() -> dict[str, str]:
    """Return our environment without what names a database or a queue."""
    taken = ("AWS_", "DATABASE_URL", "QUEUE_NAME")
    return {name: value for name, value in os.environ.items() if not name.startswith(taken)}


class Stack:
    """A stack in a process of its own, with what it printed."""

    def __init__(self, folder: Path, port: int, *flags: str, **environ: str) -> None:
        self.folder, self.port = folder, port
        arguments = ["up", "--port", str(port), "--data", str(folder), *flags]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localdev", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=without_servers() | environ,
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

    def ask(self, method: str, path: str, body: Any = None, *lines: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            headers |= dict(line.split(": ", 1) for line in lines)
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


def test_with_auth_the_stack_hands_out_a_key_at_each_start_and_keeps_none(
    tmp_path: Path, port: int
) -> None:
    folder = tmp_path / "data"
    with Stack(folder, port, "--auth") as stack:
        eventually(lambda: "stop:  Ctrl-C" in stack.text, 5, stack)
        [key] = re.findall(r"^key:   (tk_\w{16}_[\w-]{43}) ", stack.text, re.MULTILINE)
        assert stack.ask("GET", "/tasks")[0] == 401
        assert stack.ask("GET", "/readyz")[0] == 200
        # The command that is printed works as it is, sent as curl would.
        [shown] = re.findall(r"^try:   (curl .*)$", stack.text, re.MULTILINE)
        words = shlex.split(shown)
        headers = [words[at + 1] for at, word in enumerate(words) if word == "-H"]
        assert f"Authorization: Bearer {key}" in headers
        sent = words[words.index("-d") + 1]
        status, made = stack.ask("POST", "/tasks", json.loads(sent), *headers)
        assert status == 201
        task = made["id"]
        done = re.compile(rf"✓ task {task} completed")
        eventually(lambda: done.search(stack.text), 10, stack)
        kept = [path for path in folder.iterdir() if path.is_file()]
        assert folder / "state.json" in kept
        assert [path for path in kept if key[20:] in path.read_text(errors="replace")] == []
        assert not [one for one in stack.family() if key[20:] in " ".join(one.cmdline())]
        listed = run("keys", "list", "--data", str(folder), "--json")
        [row] = json.loads(listed.stdout)["keys"]
        assert (row["id"], row["name"], row["tenant"]) == (key[3:19], "dev.sh", "default")
        assert row["expires_at"] is not None


def test_without_auth_no_key_is_made(stack: Stack) -> None:
    assert "tk_" not in stack.text
    listed = run("keys", "list", "--data", str(stack.folder), "--json")
    assert json.loads(listed.stdout) == {"keys": []}


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
    assert f"{name} died (killed by SIGKILL); its last lines:" in stack.text
    eventually(lambda: gone(family), 5)


def test_how_a_process_ended_is_told_in_words() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait(10)
    assert processes.ending(process) == "exit code 3"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as waiting:
        assert processes.ending(waiting) == "still running"
        waiting.kill()
        waiting.wait(10)
    assert processes.ending(waiting) == "killed by SIGKILL"


def test_a_port_that_is_not_allowed_is_not_called_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Guarded(socket.socket):
        def bind(self, address: Any) -> None:
            if address[1] == 80:
                raise PermissionError
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Guarded)
    supervisor = Supervisor(Options(80, tmp_path, 1, json=False))
    with pytest.raises(StackError, match=r"^port 80 is not allowed to you; .*--port 8000$"):
        supervisor._take_port()


@contextlib.contextmanager
def as_ordinary_account() -> Iterator[None]:
    """Act as nobody inside the block where we are root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def refusal(folder: Path) -> str:
    with as_ordinary_account(), pytest.raises(StackError) as caught:
        state.prepare(folder)
    return str(caught.value)


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StackError, match="holds something else"):
        state.prepare(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_data_folder_of_another_account_is_told_with_the_cure() -> None:
    assert refusal(Path("/usr")) == (
        "/usr belongs to root; make it yours: sudo chown -R $USER /usr, "
        "or choose another: --data FOLDER"
    )


def test_a_data_folder_that_cannot_be_made_is_told_with_the_cure() -> None:
    assert refusal(Path("/usr/none/data")) == (
        "/usr/none cannot be made: /usr is not yours to write in; choose another: --data FOLDER"
    )


def test_a_lock_of_another_account_is_told_with_the_cure() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "lock").touch()
        (folder / "lock").chmod(0)
        for use in (lambda: state.read(folder), state.locked(folder, "").__enter__):
            with as_ordinary_account(), pytest.raises(StackError, match="belongs to") as caught:
                use()
            assert f"{folder}/lock" in str(caught.value)


@pytest.mark.parametrize("below", ["file", "file/data"])
def test_a_file_in_the_place_of_the_data_folder_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    done = run("up", "--data", str(tmp_path / below))
    assert done.returncode == 1
    assert done.stderr == (
        f"{tmp_path / below} is, or lies in, a file; choose another: --data FOLDER\n"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se%cret@127.0.0.1/db",
        "postgresql://me:100%@127.0.0.1/db",
        "postgresql://me:p@secret@127.0.0.1/db",
        "postgresql://me:p/secret@127.0.0.1/db",
        "postgresql://me:1/secret@127.0.0.1/db",
        "postgresql://me:p#secret@127.0.0.1/db",
        "postgresql://me:1?secret@127.0.0.1/db",
        "postgresql://127.0.0.1:secret/db",
        "postgresql://127.0.0.1/db?password=%secret",
        "postgresql://127.0.0.1/db?secret=1",
    ],
)
def test_a_malformed_database_url_is_named_and_never_shown(url: str) -> None:
    with pytest.raises(StackError) as caught:
        servers._check_database(url)
    text = str(caught.value)
    assert text.startswith("DATABASE_URL cannot be read as postgresql://")
    assert "secret" not in text
    assert "100%" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se%25cret%40@127.0.0.1:1/db?connect_timeout=3&sslmode=disable",
        "postgresql://me:a:b@127.0.0.1:1",
        "postgres://127.0.0.1:1/",
        "postgresql://127.0.0.1:1,localhost:1/db",
        "postgresql:///db?host=127.0.0.1&port=1",
    ],
)
def test_a_well_formed_database_url_is_tried(url: str) -> None:
    with pytest.raises(StackError, match=r"(?s)cannot be reached:.*refused"):
        servers._check_database(url)


def test_a_start_with_a_malformed_database_url_shows_no_password(tmp_path: Path, port: int) -> None:
    url = "postgresql://me:se%cret@127.0.0.1/db"
    done = run("up", "--port", str(port), "--data", str(tmp_path / "data"), DATABASE_URL=url)
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("last", ["making the database", "ready", "stop:"])
def test_a_start_whose_output_is_read_no_more_ends_cleanly(
    tmp_path: Path, port: int, last: str
) -> None:
    command = [sys.executable, "-m", "localdev", "up", "--port", str(port), "--data"]
    with (
        (tmp_path / "err").open("w+") as err,
        subprocess.Popen(
            [*command, str(tmp_path / "data")],
            stdout=subprocess.PIPE,
            stderr=err,
            cwd=ROOT,
            env=without_servers(),
        ) as process,
    ):
        assert process.stdout is not None
        while not process.stdout.readline().startswith(last.encode()):
            assert process.poll() is None
        process.stdout.close()
        assert process.wait(30) == 0
        assert (tmp_path / "err").read_text() == ""


def test_a_command_whose_output_is_read_by_nobody_ends_as_by_sigpipe(stack: Stack) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "localdev", "env", "--data", str(stack.folder)]
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (141, "")


def emitted() -> set[str]:
    """Return the events that the sources of the app and of the local stack name."""
    texts = [path.read_text() for path in (ROOT / "localdev").rglob("*.py")]
    reported = {name for text in texts for name in re.findall(r'\breport\(\s*"(\w+)"', text)}
    return reported | {line.event for line in logged.lines()}


def test_the_console_has_words_for_events_that_exist_and_for_no_others() -> None:
    known = set(console._KNOWN)
    assert known <= emitted()
    assert {line.event for line in logged.lines()} - known <= {"key_created", "key_revoked"}


def test_what_an_operator_does_and_a_crash_are_told_in_words() -> None:
    told = {
        "task_cancel_requested": "⊘ task 7 is to be cancelled  status=processing",
        "task_retried_by_hand": "↻ task 7 given new attempts by hand  status=processing",
        "task_deleted": "- task 7 deleted  status=processing",
        "task_rescued": "⚕ task 7 lost its worker  status=processing",
    }
    for event, line in told.items():
        assert console.describe({"event": event, "task_id": 7, "status": "processing"})[0] == line


FAKE_PYTHON = """\
#!/bin/sh
case "$*" in *install*)
    echo begun >> log
    while ! [ -e go ]; do sleep 0.02; done
    echo ended >> log
esac
"""


class Tree:
    """A folder with scripts/venv.sh, where packages are installed when ``go`` appears."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "venv.sh", folder / "scripts")
        (folder / "requirements-dev.txt").touch()

    def fake_python(self) -> None:
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)

    def start(self, python: str = sys.executable, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", "-c", '. scripts/venv.sh; echo "$PYTHON"'],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHON": python},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def steps(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_a_start_waits_for_the_pip_that_a_killed_one_left_behind(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.fake_python()
    with tree.start() as first:
        eventually(tree.steps)
        [python] = psutil.Process(first.pid).children()
        python.kill()
        assert first.wait(10) == 1
        with tree.start() as second:
            assert second.stderr is not None
            waits = "Another start is preparing .venv; waiting for it to end ...\n"
            assert second.stderr.readline() == waits
            assert tree.steps() == ["begun"]
            (tmp_path / "go").touch()
            printed, said = second.communicate(timeout=20)
    assert (second.returncode, printed) == (0, f"{tmp_path}/.venv/bin/python\n")
    assert tree.steps() == ["begun", "ended", "begun", "ended"]
    assert "Traceback" not in said


def ordinary() -> dict[str, Any]:
    """Return what lets a process run as nobody where we are root."""
    nobody = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
    return nobody if os.geteuid() == 0 else {}


def python_of_everybody() -> str:
    """Return a Python that an ordinary account may start too."""
    for candidate in (sys.executable, *map("/usr/bin/python3.{}".format, (13, 12, 11))):
        with contextlib.suppress(OSError):
            if subprocess.run([candidate, "-V"], check=False, **ordinary()).returncode == 0:
                return candidate
    pytest.skip("no Python that other accounts can use")


@pytest.mark.parametrize(("named", "mode"), [(".venv", 0), (".venv", 0o555), (".", 0o555)])
def test_a_venv_of_another_account_is_told_in_one_line(named: str, mode: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        tree = Tree(Path(made))
        if named == ".venv":
            (tree.folder / ".venv").mkdir()
        tree.folder.chmod(0o777)
        (tree.folder / named).chmod(mode)
        with tree.start(python_of_everybody(), **ordinary()) as process:
            output, said = process.communicate(timeout=20)
        (tree.folder / named).chmod(0o755)
        where = ".venv" if named == ".venv" else os.path.realpath(made)
    assert (process.returncode, output) == (1, "")
    assert said == (
        f"{where} cannot be read and written by this account; "
        f"make it yours: sudo chown -R $USER {where}\n"
    )


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
        b"GET /healthz\x00 HTTP/1.1\r\n\r\n": b"404",
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
