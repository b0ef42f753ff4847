"""The mapping's own events, as JSON lines on stdout like the app's."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any


def report(event: str, level: str = "INFO", **values: Any) -> None:
    """Write one line."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    line = json.dumps({"time": now, "level": level, "event": event, **values}, default=str)
    # One write, so that lines of several processes do not mix.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
