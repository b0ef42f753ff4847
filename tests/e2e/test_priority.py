"""A stack with a queue for high priority, as a developer starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stack import Stack, copy_tree, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

#: It takes as long as the test has it.
SLOW = """
import pathlib, time
from chalicelib.registry import handler

@handler("slow")
def slow(task, context):
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.05)
"""


def test_a_high_task_is_done_while_a_backlog_of_slow_normal_ones_waits(tmp_path: Path) -> None:
    """This stack takes seconds to start: app.py declares the second worker while it is imported."""
    folder, gate = copy_tree(tmp_path / "stack"), tmp_path / "gate"
    handlers = folder / "chalice_app/chalicelib/handlers"
    (handlers / "slow.py").write_text(SLOW.format(gate=str(gate)))
    with Stack(folder, PRIORITY_QUEUE="on", BATCH_SIZE="1", WORKER_TIMEOUT="30") as stack:
        backlog = [create(stack, title="x", kind="slow") for _ in range(6)]
        urgent = create(stack, title="x", priority="high")
        eventually(lambda: stack.task(urgent)["status"] == "completed", 20)
        found = [stack.task(number)["status"] for number in backlog]
        assert set(found) <= {"pending", "processing"}
        assert "pending" in found
        gate.touch()
        for number in backlog:
            eventually(lambda: stack.task(number)["status"] == "completed", 20)  # noqa: B023


def create(stack: Stack, **task: Any) -> int:
    status, created = stack.call("POST", "/tasks", task)
    assert status == 201, created
    return int(created["id"])
