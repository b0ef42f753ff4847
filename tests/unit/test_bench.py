"""What the benchmark counts, sums up and says."""

from __future__ import annotations

import struct

import pytest

from bench.budgets import Budget, of_cells
from bench.measure import BATCH, CREATE, SEND, WORK, Cell
from bench.report import Report
from bench.wire import Statements


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
START = _message(b"", struct.pack("!i", 196608) + b"user\0postgres\0\0")
PASSWORD = _message(b"p", b"SCRAM")
SAID = (
    SSL_REQUEST
    + START
    + PASSWORD
    + _message(b"Q", b"begin\0")
    + _message(b"Q", b"select 'Q'\0")
    + _message(b"P", b"\0select 1\0\0\0")
    + _message(b"E", b"\0\0\0\0\0")
    + _message(b"X", b"")
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(SAID)])
def test_statements_are_counted_however_what_is_sent_is_cut(size: int) -> None:
    statements = Statements()
    parts = [SAID[first : first + size] for first in range(0, len(SAID), size)]
    assert sum(statements.count(part) for part in parts) == 3


def cells() -> list[Cell]:
    """Cells in which the plain algorithm needs ten times, and the bare calls half, of ours."""
    times = {"ours": 1.0, "ours+keys": 1.0, "plain": 10.0, "floor": 0.5}
    return [
        Cell(case, name, time, time, time, time, 1, 1, 0, 1, 50, 10)
        for case in (CREATE, SEND, BATCH, *WORK.values())
        for name, time in times.items()
    ]


def test_a_budget_is_held_to_the_ratio_of_times() -> None:
    found = {budget.what: budget for budget in of_cells(cells())}
    create = found["create one: time per task, of the plain's"]
    assert (create.figure, create.floor, create.met) == (0.1, 0.05, True)
    assert not found["create one: time, of the floor's"].met
    assert not found["work 10: statements per task"].met


def test_a_report_shows_each_cell_and_names_what_has_no_figure() -> None:
    report = Report({"cores": "2"}, cells(), {"growth": [{"statement": "claim", "ms": None}]})
    report.budgets = [Budget("work", 0.02, 1 / 60)]
    text = report.text()
    assert text.count("| plain ") == len(cells()) / 4
    assert "| work   | 0.02     | ≤ 0.0167 | no  |" in text
    assert report.unfilled() == ["{'statement': 'claim', 'ms': None} has no ms"]
