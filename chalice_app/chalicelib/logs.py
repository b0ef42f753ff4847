"""One JSON line per event, on standard output.

What holds for a whole invocation, or for an attempt, is bound once and is on each of its lines.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = json.JSONEncoder(default=str).encode
_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, event, what is bound, what it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception is named with its place in the code, not its text."""
        second, part = divmod(record.created, 1)
        line: dict[str, Any] = {
            "time": f"{_second(second)}.{int(part * 1e6):06d}Z",
            "level": record.levelname,
            "event": record.getMessage(),
            **_bound.get(),
        }
        given = vars(record).items()
        line |= {key: it for key, it in given if it is not None and key not in _STANDARD}
        if record.exc_info and record.exc_info[1]:
            line |= _known(_safe(record.exc_info[1]))
        return _encode(line)


def configure(level: str, *watchers: logging.Handler) -> None:
    """Send every log line of this process to standard output as JSON, from ``level`` up.

    ``watchers`` see what the service logs from INFO up, written or not; a record that has metrics
    for CloudWatch is always written.
    """
    # What no line tells is not looked for. Source: Python, "Logging HOWTO", "Optimization".
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  (the place in the code, by the way that page names)
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(JsonLines())
    least = logging.getLevelNamesMapping()[level]
    lines.addFilter(lambda record: record.levelno >= least or hasattr(record, "_aws"))
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    service = logging.getLogger("chalicelib")
    service.setLevel(min(least, logging.INFO) if watchers else least)
    for watcher in watchers:
        service.addHandler(watcher)


@contextmanager
def bound(**facts: Any) -> Iterator[None]:
    """Put these facts on each line that is logged inside the block.

    A thread that is begun there has them if it runs in a copy of the context
    (contextvars.copy_context).
    """
    token = _bound.set({**_bound.get(), **_known(facts)})
    try:
        yield
    finally:
        _bound.reset(token)


@lru_cache(maxsize=1)
def _second(since_1970: float) -> str:
    # Many lines tell of one second.
    return datetime.fromtimestamp(since_1970, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def milliseconds(seconds: float) -> float:
    """Return a duration as log lines tell it."""
    return round(seconds * 1000, 1)


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def _safe(error: BaseException) -> dict[str, Any]:
    # Texts of database and validation errors quote what the client sent; the place does not.
    frames = traceback.extract_tb(error.__traceback__)
    cause = error.__cause__
    return {
        "exception": type(error).__name__,
        "cause": type(cause).__name__ if cause else None,
        "sqlstate": getattr(error, "pgcode", None) or getattr(cause, "pgcode", None),
        "aws_code": _aws_code(cause) or _aws_code(error),
        "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }


def _aws_code(error: BaseException | None) -> str | None:
    # Of botocore's ClientError, which is not imported for this.
    if type(error).__module__ != "botocore.exceptions":
        return None
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    return str(code) if code else None
