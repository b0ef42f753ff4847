"""One JSON line per event, on standard output."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, event, then whatever it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception is named with its place in the code, not its text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1]:
            line |= _safe(record.exc_info[1])
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Send every log line of this process to standard output as JSON, from ``level`` up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("chalicelib").setLevel(level)


def _safe(error: BaseException) -> dict[str, Any]:
    # Texts of database and validation errors quote what the client sent; the place does not.
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "exception": type(error).__name__,
        "sqlstate": getattr(error, "pgcode", None),
        "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }
