"""Draws a report of tasks as PDF, by reportlab, which is packaged only where it is asked for.

The same lines make the same bytes. Texts are drawn in Latin-1, by a font that every reader has.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp
from chalicelib.task import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    Line = dict[str, Any]

# A4, in points.
_WIDTH, _HEIGHT = 595, 842
_MARGIN = 48
_CHART = 190
_ROW = 15
_COLOURS = {
    Status.COMPLETED: "#2e7d4f",
    Status.FAILED: "#c0392b",
    Status.CANCELLED: "#8a8f98",
    Status.PROCESSING: "#2f6db5",
    Status.RETRYING: "#d08a1d",
    Status.PENDING: "#b9c4d4",
}
_HEADS = ("kind", "status", "tasks", "wait p50", "wait p95", "run p50", "run p95")
_RIGHT = (0, 0, 300, 350, 400, 450, 499)


def check() -> None:
    """Raise GiveUp if reportlab is not there, saying how it comes to be."""
    if importlib.util.find_spec("reportlab") is None:
        raise GiveUp(
            "PDF needs a package that is not installed; add the line -r requirements-pdf.txt to "
            "chalice_app/requirements.txt, or ask for format csv."
        )


def draw(title: str, days: Sequence[date], lines: Sequence[Line]) -> bytes:
    """Return a PDF with a chart of tasks by day, and a table by kind and status.

    ``lines`` are those of the CSV. The percentiles in the table are the worst of any day.
    """
    canvas = importlib.import_module("reportlab.pdfgen.canvas")
    out = io.BytesIO()
    # Without the time it was made.
    page = canvas.Canvas(out, pagesize=(_WIDTH, _HEIGHT), invariant=1)
    page.setTitle(_plain(title))
    _heading(page, title, days, sum(line["tasks"] for line in lines))
    _chart(page, days, lines, bottom=_HEIGHT - 110 - _CHART)
    _table(page, _by_kind(lines), top=_HEIGHT - 110 - _CHART - 75)
    page.save()
    return out.getvalue()


def _heading(page: Any, title: str, days: Sequence[date], count: int) -> None:
    page.setFont("Helvetica-Bold", 18)
    page.drawString(_MARGIN, _HEIGHT - 60, _plain(title))
    page.setFont("Helvetica", 10)
    about = f"created from {days[0]} to {days[-1]} (UTC): {count:,}"
    page.drawString(_MARGIN, _HEIGHT - 78, about)


def _chart(page: Any, days: Sequence[date], lines: Sequence[Line], bottom: float) -> None:
    counts: dict[tuple[date, str], int] = {}
    for line in lines:
        place = line["day"], line["status"]
        counts[place] = counts.get(place, 0) + line["tasks"]
    sums = [sum(counts.get((day, status), 0) for status in _COLOURS) for day in days]
    highest, wide = max([*sums, 1]), (_WIDTH - 2 * _MARGIN) / len(days)
    page.setFont("Helvetica", 8)
    page.setFillColor("#444444")
    page.drawString(_MARGIN, bottom + _CHART + 4, f"{highest:,}")
    for number, day in enumerate(days):
        left, low = _MARGIN + number * wide, bottom
        for status, colour in _COLOURS.items():
            high = _CHART * counts.get((day, status), 0) / highest
            page.setFillColor(colour)
            page.rect(left, low, wide * 0.8, high, stroke=0, fill=1)
            low += high
    page.setStrokeColor("#888888")
    page.line(_MARGIN, bottom, _WIDTH - _MARGIN, bottom)
    page.setFillColor("#444444")
    page.drawString(_MARGIN, bottom - 12, str(days[0]))
    page.drawRightString(_WIDTH - _MARGIN, bottom - 12, str(days[-1]))
    _legend(page, bottom - 32)


def _legend(page: Any, high: float) -> None:
    left = float(_MARGIN)
    for status, colour in _COLOURS.items():
        page.setFillColor(colour)
        page.rect(left, high, 8, 8, stroke=0, fill=1)
        page.setFillColor("#444444")
        page.drawString(left + 12, high + 1, status)
        left += 82


def _by_kind(lines: Iterable[Line]) -> list[tuple[Any, ...]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for line in lines:
        _, kind, status, tasks, *times = line.values()
        row = found.setdefault((kind, status), [0, None, None, None, None])
        row[0] += tasks
        row[1:] = [_worse(one, other) for one, other in zip(row[1:], times, strict=True)]
    return [(*place, *row) for place, row in sorted(found.items())]


def _worse(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _table(page: Any, rows: Sequence[tuple[Any, ...]], top: float) -> None:
    high = _heads(page, top)
    for row in rows:
        if high < _MARGIN:
            page.showPage()
            high = _heads(page, _HEIGHT - 60)
        _row(page, high, [_plain(row[0])[:34], row[1], f"{row[2]:,}", *map(_seconds, row[3:])])
        high -= _ROW


def _heads(page: Any, top: float) -> float:
    page.setFillColor("#444444")
    page.setFont("Helvetica-Oblique", 8)
    page.drawString(_MARGIN, top + 16, "Times in seconds, of the worst day.")
    page.setFont("Helvetica-Bold", 9)
    _row(page, top, _HEADS)
    page.line(_MARGIN, top - 4, _WIDTH - _MARGIN, top - 4)
    page.setFillColor("#111111")
    page.setFont("Helvetica", 9)
    return top - _ROW - 2


def _row(page: Any, high: float, cells: Sequence[str]) -> None:
    page.drawString(_MARGIN, high, cells[0])
    page.drawString(_MARGIN + 190, high, cells[1])
    for cell, right in zip(cells[2:], _RIGHT[2:], strict=True):
        page.drawRightString(_MARGIN + right, high, cell)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _plain(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
