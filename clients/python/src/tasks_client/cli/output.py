"""What commands print: rows for people, tabs for other programs, or JSON lines."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tasks_client import Attempt, Task

_GREEN, _RED, _YELLOW = "32", "31", "33"
_COLOURS = {
    "completed": _GREEN,
    "failed": _RED,
    "crashed": _RED,
    "retrying": _YELLOW,
    "cancelled": _YELLOW,
}
_TASK_WIDTHS = (8, 10, 16, 7, 20)
_ATTEMPT_WIDTHS = (3, 20, 10, 10)


class Output:
    """Prints to one stream; a terminal gets columns and colours, anything else gets tabs."""

    def __init__(self, stream: IO[str], *, as_json: bool) -> None:
        """``NO_COLOR`` in the environment is heeded (no-color.org)."""
        self._stream = stream
        self._json = as_json
        self._columns = stream.isatty()
        self._colours = self._columns and not os.environ.get("NO_COLOR")

    def say(self, text: str) -> None:
        """Print a line for people; none among JSON lines."""
        if not self._json:
            self._print(printable(text))

    def task(self, task: Task) -> None:
        """Print a task as a row."""
        if self._json:
            self._dump(task.raw)
            return
        tries = f"{task.attempt}/{task.attempt_limit}"
        start = [str(task.id), task.status, task.kind, tries, _time(task.created_at)]
        self._row([*start, task.title], _TASK_WIDTHS, _COLOURS.get(task.status))

    def whole(self, task: Task) -> None:
        """Print all of a task, one value a line."""
        if self._json:
            self._dump(task.raw)
            return
        for name, value in task.raw.items():
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                self._print(f"{printable(name)}: {printable(text)}")

    def attempt(self, attempt: Attempt) -> None:
        """Print an attempt as a row."""
        if self._json:
            self._dump(attempt.raw)
            return
        length = "" if attempt.duration is None else f"{attempt.duration:.3f} s"
        begun, outcome = _time(attempt.started_at), attempt.outcome or ""
        row = [str(attempt.attempt), begun, length, outcome, str(attempt.error or "")]
        self._row(row, _ATTEMPT_WIDTHS, _COLOURS.get(outcome))

    def dump(self, value: Any) -> None:
        """Print a JSON line, if JSON was asked for."""
        if self._json:
            self._dump(value)

    def _row(self, cells: Sequence[str], widths: Sequence[int], colour: str | None) -> None:
        shown = [printable(cell) for cell in cells]
        if self._columns:
            padded = [f"{cell:<{width}}" for cell, width in zip(shown, widths, strict=False)]
            line = "  ".join([*padded, shown[-1]]).rstrip()
        else:
            line = "\t".join(shown)
        self._print(f"\x1b[{colour}m{line}\x1b[0m" if self._colours and colour else line)

    def _dump(self, value: Any) -> None:
        # ASCII only: what somebody put into a title must not steer a terminal.
        self._print(json.dumps(value))

    def _print(self, line: str) -> None:
        print(line, file=self._stream)


def printable(text: str) -> str:
    """Replace what could steer a terminal or break a line."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
