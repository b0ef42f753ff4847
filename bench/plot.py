"""Draws what was measured: milliseconds for each task, on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportlab.graphics import renderSVG
from reportlab.graphics.charts.axes import LogYValueAxis
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import HexColor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.measure import Cell

_SIZE = 900, 400
_RANGE = 0.01, 100  # milliseconds
_COLOURS = {"ours": "#1f6feb", "plain": "#d29922", "floor": "#8b949e", "ours+keys": "#79b8ff"}


def draw(cells: Sequence[Cell], file: Path) -> None:
    """Write the chart of all cases that every contestant took part in, as SVG."""
    names = [name for name in _COLOURS if any(cell.name == name for cell in cells)]
    found = {(cell.case, cell.name): cell.task for cell in cells}
    cases = [case for case in dict.fromkeys(c.case for c in cells) if (case, names[0]) in found]
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 60, 40, 680, 310
    chart.valueAxis = LogYValueAxis()
    chart.valueAxis.labelTextFormat = "%g"
    chart.valueAxis.valueMin, chart.valueAxis.valueMax = _RANGE
    chart.categoryAxis.joinAxisMode = "bottom"
    chart.data = [[found[case, name] for case in cases] for name in names]
    chart.categoryAxis.categoryNames = cases
    for number, name in enumerate(names):
        chart.bars[number].fillColor = HexColor(_COLOURS[name])
        chart.bars[number].strokeColor = None
    legend = Legend()
    legend.x, legend.y, legend.columnMaximum = 760, 340, len(names)
    legend.colorNamePairs = [(HexColor(_COLOURS[name]), name) for name in names]
    drawing = Drawing(*_SIZE)
    for part in (chart, legend, String(20, 375, "ms for each task (logarithmic)")):
        drawing.add(part)
    renderSVG.drawToFile(drawing, str(file))
