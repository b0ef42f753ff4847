"""The local stack's console: one readable line for each event, in colour on a terminal alone."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from localdev import console

ANSWERED = {
    "time": "2026-01-02T03:04:05.678901Z",
    "level": "INFO",
    "event": "request_answered",
    "function": "api_handler",
    "request_id": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    "method": "GET",
    "route": "/tasks/{task_id}",
    "status": 200,
    "duration_ms": 3.1,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *events: dict[str, Any], raw: bool = False) -> str:
    made = console.Console(stream, raw=raw, on_broken=lambda: None)
    for event in events:
        made.show("http", json.dumps(event))
    return stream.getvalue()


def test_a_request_is_told_by_method_route_status_and_time() -> None:
    line = "03:04:05 ⇄ GET /tasks/{task_id}  status=200 duration_ms=3.1\n"
    assert shown(io.StringIO(), ANSWERED) == line


@pytest.mark.parametrize(("level", "colour"), [("INFO", 90), ("WARNING", 33), ("ERROR", 31)])
def test_a_request_has_the_colour_of_its_status_on_a_terminal(
    level: str, colour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown(Terminal(), ANSWERED | {"level": level}).startswith(f"\x1b[{colour}m03:04:05")


def test_there_are_no_colours_where_they_are_not_wanted_or_nobody_sees_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in shown(io.StringIO(), ANSWERED)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal(), ANSWERED)


def test_what_tells_nothing_new_is_shown_in_json_only() -> None:
    idle: dict[str, Any] = {
        "event": "sweep_finished",
        "sent": 0,
        "outbox_lag_s": 0.0,
        "duration_ms": 3.5,
    }
    probe = ANSWERED | {"route": "/readyz"}
    quiet: list[dict[str, Any]] = [
        probe,
        idle,
        {"event": "cold_start", "function": "worker"},
        {"event": "metrics", "_aws": {}},
    ]
    assert shown(io.StringIO(), *quiet) == ""
    assert len(shown(io.StringIO(), *quiet, raw=True).splitlines()) == 4
    assert "status=503" in shown(io.StringIO(), probe | {"level": "ERROR", "status": 503})
    assert "outbox_lag_s=9.5" in shown(io.StringIO(), idle | {"outbox_lag_s": 9.5})
