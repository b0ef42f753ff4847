"""Turns the parts' output into one readable line per event."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from localdev.processes import mute

if TYPE_CHECKING:
    from collections.abc import Callable

_GREEN, _RED, _YELLOW, _CYAN, _GREY = "32", "31", "33", "36", "90"

# event → sign, colour, words; the task's number is put before the words.
_KNOWN = {
    "task_created": ("+", _CYAN, "created"),
    "task_send_failed": ("!", _YELLOW, "not sent: SQS could not be reached"),
    "task_started": ("▶", _CYAN, "started"),
    "task_completed": ("✓", _GREEN, "completed"),
    "handler_raised": ("✗", _YELLOW, "handler raised"),
    "task_retrying": ("↻", _YELLOW, "failed; will be tried again"),
    "task_failed": ("✗", _RED, "failed"),
    "task_cancel_requested": ("⊘", _YELLOW, "is to be cancelled"),
    "task_cancelled": ("⊘", _YELLOW, "cancelled"),
    "task_held": ("⏸", _YELLOW, "held back"),
    "task_released": ("⤺", _YELLOW, "released"),
    "task_fenced": ("≠", _YELLOW, "result dropped: another worker owns it"),
    "task_rescued": ("⚕", _YELLOW, "lost its worker"),
    "task_retried_by_hand": ("↻", _CYAN, "given new attempts by hand"),
    "tasks_retried_by_hand": ("↻", _CYAN, "tasks given new attempts by hand"),
    "task_changed": ("~", _CYAN, "changed"),
    "task_deleted": ("-", _GREY, "deleted"),
    "task_resent": ("→", _YELLOW, "sent again"),
    "limits_changed": ("⏸", _CYAN, "the limits of a kind are changed"),
    "schedule_created": ("+", _CYAN, "schedule created"),
    "schedule_changed": ("~", _CYAN, "schedule changed"),
    "schedule_deleted": ("-", _GREY, "schedule deleted"),
    "schedule_fired": ("◷", _CYAN, "made by a schedule"),
    "schedule_broken": ("✗", _RED, "schedule has no next time; tried again in an hour"),
    "message_unreadable": ("?", _RED, "message is unreadable; left for the dead-letter queue"),
    "effects_undone": ("!", _RED, "its effects could not be committed; nothing of them happened"),
    "handler_goes_on": ("!", _YELLOW, "goes on in its thread after its time was over"),
    "results_lost": ("!", _RED, "results not stored; their tasks will be tried again"),
    "batch_kept": ("!", _RED, "batch kept for later: the database could not be reached"),
    "not_marked_unsent": ("!", _YELLOW, "tasks not marked; they are sent again later"),
    "queue_refused": ("!", _YELLOW, "SQS refused part of a call"),
    "queue_not_told": ("!", _YELLOW, "SQS not told when messages are to come back"),
    "queue_depth_unknown": ("!", _YELLOW, "SQS not asked how full the queues are"),
    "queue_call_failed": ("!", _YELLOW, "SQS not told what became of messages"),
    "sweep_without_queue": ("!", _YELLOW, "sweep went on without SQS"),
    "sweep_finished": ("·", _GREY, "sweep finished"),
    "request_answered": ("⇄", _GREY, ""),
    "request_failed": ("✗", _RED, "request failed"),
    "cold_start": ("·", _GREY, "a new process took its first event"),
    "metrics": ("·", _GREY, "metrics"),
    "invocation_failed": ("✗", _RED, "invocation failed"),
    "tracing_failed": ("!", _YELLOW, "a span could not be made or sent; told once"),
    "queue_unreachable": ("!", _RED, "SQS cannot be reached; polling goes on"),
    "queue_reachable": ("✓", _GREEN, "SQS is back"),
}
_LEVELS = {"WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED}
_LONGEST = 200
_HIDDEN = {
    *("time", "level", "event", "function", "request_id", "trace_id"),
    *("lambda_request_id", "task_id", "message_id", "lost_request_id", "method", "route", "_aws"),
}


class Console:
    """Writes to one stream from many threads; each line whole, in the order it came."""

    def __init__(self, stream: IO[str], *, raw: bool, on_broken: Callable[[], None]) -> None:
        """``raw`` passes JSON lines through; ``on_broken`` is called when nobody reads on."""
        self._stream = stream
        self._raw = raw
        self._on_broken = on_broken
        self._lock = threading.Lock()
        self._colours = stream.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own (on stderr where stdout is for JSON)."""
        self._write(text, sys.stderr if self._raw else self._stream)

    def must_say(self, text: str) -> None:
        """Write a line to the stream itself, whatever goes there."""
        self._write(text, self._stream)

    def abandoned(self) -> bool:
        """Tell whether nobody reads the stream any more, which else only a write would show."""
        watch = select.poll()
        watch.register(self._stream, 0)
        return bool(watch.poll(0))

    def show(self, part: str, line: str) -> None:
        """Write what a part printed."""
        event = parse(line)
        if event is None:
            self.say(f"{part}: {line}")
        elif self._raw:
            self._write(line, self._stream)
        elif not _is_noise(event):
            self._write(self._colour(*describe(event)), self._stream)

    def follow(
        self, part: str, pipe: IO[bytes], on_event: Callable[[dict[str, Any]], None]
    ) -> Tail:
        """Show what comes out of ``pipe`` from a thread of its own, and keep its last lines."""
        tail = Tail()

        def run() -> None:
            with pipe:
                for raw in pipe:
                    line = raw.decode(errors="replace").rstrip()
                    event = parse(line)
                    tail.lines.append(describe(event)[0] if event else line)
                    if event is not None:
                        on_event(event)
                    self.show(part, line)

        tail.thread = threading.Thread(target=run, name=f"console-{part}", daemon=True)
        tail.thread.start()
        return tail

    def _colour(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text

    def _write(self, text: str, stream: IO[str]) -> None:
        with self._lock:
            try:
                print(text, file=stream, flush=True)
            except (OSError, ValueError):
                mute(stream)
                self._on_broken()


class Tail:
    """The last lines of a part, and the thread that reads them."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.lines: deque[str] = deque(maxlen=12)
        self.thread: threading.Thread | None = None

    def text(self) -> str:
        """Return the lines, once the reader has had a moment to see the end."""
        if self.thread is not None:
            self.thread.join(0.5)
        return "\n".join(self.lines)


def parse(line: str) -> dict[str, Any] | None:
    """Return the event in ``line``, or None if it is no JSON object with an `event`."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def describe(event: dict[str, Any]) -> tuple[str, str]:
    """Return one readable line for ``event``, and its colour ("" for none)."""
    name, level = event["event"], str(event.get("level", ""))
    sign, colour, words = _KNOWN.get(name, ("·", _LEVELS.get(level, ""), name))
    if name == "request_answered":
        colour = _LEVELS.get(level, colour)
    values = {key: value for key, value in event.items() if key not in _HIDDEN}
    if isinstance(values.get("stack"), list):
        # The innermost frame says most; --json shows all.
        values["at"] = " ".join(map(str, values.pop("stack")[-1:]))
    rest = " ".join(f"{key}={_brief(value)}" for key, value in values.items() if value is not None)
    clock = str(event.get("time", ""))[11:19]
    return f"{clock} {sign} {_subject(event)}{words}  {rest}".strip(), colour


def _subject(event: dict[str, Any]) -> str:
    if event["event"] == "request_answered":
        return f"{event.get('method')} {event.get('route')}"
    return f"task {event['task_id']} " if event.get("task_id") is not None else ""


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\n", " ⏎ ")
    # What a handler says must not steer the terminal.
    text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_noise(event: dict[str, Any]) -> bool:
    # A sweep each minute that found nothing to do would drown the rest.
    idle = event["event"] == "sweep_finished" and not any(
        value for key, value in event.items() if key not in _HIDDEN and key != "duration_ms"
    )
    probe = event.get("route") in {"/healthz", "/readyz"} and event.get("level") == "INFO"
    return idle or probe or event["event"] in {"mapping_ready", "cold_start", "metrics"}
