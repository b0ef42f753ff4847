"""Tasks of no particular kind: says what it was given. Put your own work beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.registry import Context, handler

if TYPE_CHECKING:
    from chalicelib.task import Task


@handler("default")
def process_task(task: Task, context: Context[None]) -> str:
    """Return a sentence that names the task and the time (UTC)."""
    result = (
        f"Processed task '{task.title}' at {datetime.now(UTC).replace(tzinfo=None).isoformat()}"
    )
    if task.description:
        result += f" with description: {task.description}"
    return result
