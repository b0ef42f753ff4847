"""The stack with the package in place of the source tree, by one command."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, copy_tree, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WHERE = """
from chalicelib.registry import handler

@handler("where")
def where(task, context):
    return __file__
"""


@pytest.fixture
def folder(lambda_python: Path, tmp_path: Path) -> Path:
    """A copy of the project with a handler that says where its code lies."""
    assert lambda_python
    folder = copy_tree(tmp_path)
    (folder / "chalice_app/chalicelib/handlers/where.py").write_text(WHERE)
    return folder


def test_a_posted_task_is_worked_by_the_package(folder: Path) -> None:
    home = folder / ".local" / "zip" / "task"
    with Stack(folder, "--zip") as stack:
        status, task = stack.call("POST", "/tasks", {"title": "a task", "kind": "where"})
        assert status == 201
        done = eventually(lambda: stack.task(task["id"])["result"], 20)
        assert done == str(home / "chalicelib" / "handlers" / "where.py")
        assert any(f"task {task['id']} completed" in line for line in stack.lines)
        assert running_in(home)
    eventually(lambda: not running_in(home), 10)


def running_in(home: Path) -> list[Path]:
    """Return the processes that work in this folder, as functions of the package do."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if link.readlink() == home:
                found.append(link)
    return found


def test_what_only_the_shell_sets_is_not_packaged(folder: Path) -> None:
    with pytest.raises(AssertionError, match="BATCH_SIZE is set in this shell"):
        Stack(folder, "--zip", BATCH_SIZE="5").__enter__()
