"""The client's README names everything, and what it shows runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tasks_client
from tasks_client import Client, TasksError
from tasks_client.cli.commands import COMMANDS
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stack import Stack

README = (ROOT / "clients/python/README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [text for language, text in FENCES if language == "python"]
COMMAND_LINES = [
    text for language, text in FENCES if language == "sh" and "pip install" not in text
]


def test_every_method_error_and_command_is_told() -> None:
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    errors = {
        name
        for name, value in vars(tasks_client).items()
        if isinstance(value, type) and issubclass(value, TasksError)
    }
    assert len(methods) > 10
    assert len(errors) > 10
    told = set(re.findall(r"`(?:tasks )?(\w+)", README))
    assert methods | errors | set(COMMANDS) <= told


def test_there_are_examples_of_each_sort() -> None:
    assert len(PROGRAMS) == 2
    assert len(COMMAND_LINES) == 1


@pytest.mark.e2e
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_as_printed(stack: Stack, tmp_path: Path, program: str) -> None:
    told = run([sys.executable, "-c", program.replace(":8000", f":{stack.port}")], tmp_path)
    assert told.startswith(("completed Processed task", "[]\n"))


@pytest.mark.e2e
@pytest.mark.parametrize("lines", COMMAND_LINES)
def test_the_commands_run_as_printed(stack: Stack, tmp_path: Path, lines: str) -> None:
    shim = tmp_path / "tasks"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tasks_client "$@"\n')
    shim.chmod(0o755)
    told = run(["/bin/sh", "-e", "-c", lines.replace(":8000", f":{stack.port}")], tmp_path)
    assert "Say hello" in told
    assert "completed" in told.splitlines()[-1]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "clients/python/src"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout
