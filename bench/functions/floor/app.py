"""A function that works a batch by the bare calls, by its name in an ``app``."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

from bench import floor

_cursor = floor.connected(os.environ["DATABASE_URL"])


def work(event: dict[str, Any], _: object) -> None:
    """Claim and finish the tasks of a batch."""
    floor.work(_cursor, [json.loads(record["body"])["task_id"] for record in event["Records"]])


app = SimpleNamespace(event_sources=(), handler_map={"worker": work})
