"""Draws what was measured: bars side by side, and over them the most that the budgets allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from reportlab.graphics.shapes import Shape

_WIDTH, _PANEL, _LEFT, _RIGHT = 900, 250, 60, 20
_HEAD, _FOOT = 44, 26  # of a panel: its title and legend, and the names under the bars
_INK, _GRID, _BOUND = HexColor("#24292f"), HexColor("#d0d7de"), HexColor("#cf222e")


@dataclass(frozen=True)
class Panel:
    """Groups of bars with a bar of each series, by their names; a series has its colour.

    ``bounds`` has the budgets of single bars, by group and series; a ``linear`` axis begins at 0,
    any other is logarithmic.
    """

    title: str
    groups: Sequence[str]
    series: Mapping[str, str]
    values: dict[tuple[str, str], float]
    bounds: dict[tuple[str, str], float]
    linear: bool = False


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Write the panels, one under the other, as SVG."""
    drawing = Drawing(_WIDTH, _PANEL * len(panels))
    drawing.add(Rect(0, 0, _WIDTH, drawing.height, fillColor=HexColor("#ffffff"), strokeColor=None))
    for number, panel in enumerate(reversed(panels)):
        for shape in _shapes(panel, number * _PANEL):
            drawing.add(shape)
    renderSVG.drawToFile(drawing, str(file))


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    linear: bool
    bottom: float

    @classmethod
    def of(cls, panel: Panel, bottom: float) -> _Axis:
        values = [*panel.values.values(), *panel.bounds.values()]
        if panel.linear:
            return cls(0, max(values) * 1.15, linear=True, bottom=bottom)
        low, high = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.3)))
        return cls(10.0**low, 10.0**high, linear=False, bottom=bottom)

    def at(self, value: float) -> float:
        """Return how high on the page a value stands."""
        if self.linear:
            part = (value - self.low) / (self.high - self.low)
        else:
            part = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.bottom + part * (_PANEL - _HEAD - _FOOT)

    def ticks(self) -> Iterator[float]:
        if not self.linear:
            decades = round(math.log10(self.high / self.low))
            yield from (self.low * 10.0**decade for decade in range(decades + 1))
            return
        step = 10.0 ** math.floor(math.log10(self.high))
        step = step if self.high / step > 3 else step / 4  # noqa: PLR2004  (three lines at least)
        yield from (step * number for number in range(int(self.high / step) + 1))


def _shapes(panel: Panel, bottom: float) -> Iterator[Shape]:
    axis = _Axis.of(panel, bottom + _FOOT)
    title = String(_LEFT, bottom + _PANEL - 18, panel.title, fontSize=12, fillColor=_INK)
    title.fontName = "Helvetica"
    yield title
    yield from _legend(panel, bottom + _PANEL - 34)
    for tick in axis.ticks():
        y = axis.at(tick)
        yield Line(_LEFT, y, _WIDTH - _RIGHT, y, strokeColor=_GRID, strokeWidth=0.5)
        yield _text(_LEFT - 6, y - 3, f"{tick:,g}", "end")
    group = (_WIDTH - _LEFT - _RIGHT) / len(panel.groups)
    bar = group * 0.8 / len(panel.series)
    for place, name in enumerate(panel.groups):
        left = _LEFT + place * group + group * 0.1
        yield _text(left + group * 0.4, bottom + _FOOT - 14, name, "middle")
        for number, series in enumerate(panel.series):
            yield from _bar(panel, axis, (name, series), left + number * bar, bar)


def _bar(
    panel: Panel, axis: _Axis, key: tuple[str, str], x: float, width: float
) -> Iterator[Shape]:
    value, bound = panel.values.get(key), panel.bounds.get(key)
    if value is not None:
        height, colour = axis.at(value) - axis.bottom, HexColor(panel.series[key[1]])
        yield Rect(x + 1, axis.bottom, width - 2, height, fillColor=colour, strokeColor=None)
        text = f"{value:.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004  (three digits)
        top = axis.at(value)
        hidden = bound is not None and -4 < axis.at(bound) - top < 13  # noqa: PLR2004  (its height)
        yield _text(
            x + width / 2, (axis.at(bound) if bound and hidden else top) + 3, text, "middle"
        )
    if bound is not None:
        y = axis.at(bound)
        yield Line(x - 2, y, x + width + 2, y, strokeColor=_BOUND, strokeWidth=2)


def _legend(panel: Panel, y: float) -> Iterator[Shape]:
    x: float = _LEFT
    for name, colour in panel.series.items():
        yield Rect(x, y, 10, 9, fillColor=HexColor(colour), strokeColor=None)
        yield _text(x + 14, y + 1, name, "start")
        x += 30 + 6 * len(name)
    if panel.bounds:
        yield Line(x, y + 4, x + 12, y + 4, strokeColor=_BOUND, strokeWidth=2)
        yield _text(x + 16, y + 1, "the budget", "start")


def _text(x: float, y: float, text: str, anchor: str) -> Shape:
    return String(x, y, text, fontSize=9, fillColor=_INK, textAnchor=anchor)
