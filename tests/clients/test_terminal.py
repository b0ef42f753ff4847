"""The command line as a process: on a terminal, interrupted, and when its reader goes away."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import termios

from tests.tree import ROOT

SOURCE = str(ROOT / "clients/python/src")


def test_a_terminal_gets_columns_colours_and_a_bar() -> None:
    program = """
import sys
from tasks_client import Task
from tasks_client.cli.output import Output
from tasks_client.cli.progress import Bar
from tasks_client.models import Progress
with Bar() as bar:
    bar.show(Progress(total=4, completed=1, failed=1, cancelled=0))
raw = {"id": 7, "title": "t", "status": "failed", "created_at": "2026-11-24T02:50:47Z"}
Output(sys.stdout, as_json=False).task(Task.of(raw))
"""
    shown = on_a_terminal(program)
    assert "50%" in shown
    assert "failed=1" in shown
    assert "\x1b[31m7         failed      default" in shown
    assert "\x1b[31m" not in on_a_terminal(program, NO_COLOR="1")


def on_a_terminal(program: str, **environ: str) -> str:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCE}
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=theirs,
        stderr=theirs,
        env={**path, **environ},
        timeout=60,
        check=False,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # how Linux says that the other side is closed
    finally:
        os.close(ours)
    assert done.returncode == 0, shown
    return shown.decode()


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    program = """
import sys
from tasks_client.cli import commands, program
def flood(client, options, output):
    while True:
        output.say("line")
commands.COMMANDS["list"] = flood
sys.exit(program.main(["list"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": SOURCE, "TASKS_URL": "http://127.0.0.1:1"},
    )
    assert process.stdout
    assert process.stdout.readline() == b"line\n"
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_an_interrupt_while_waiting_is_one_line_and_no_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks_client", "wait", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PYTHONPATH": SOURCE,
                "TASKS_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
            },
        )
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(65536).startswith(b"GET /tasks/1 ")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert err == b"tasks: interrupted; the service goes on\n"
