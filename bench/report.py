"""Says what was measured: for the terminal, and as JSON."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench import plot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.budgets import Budget
    from bench.measure import Cell
    from bench.plot import Panel

_HEAD = (
    "case", "who", "p50 ms", "p99 ms", "ms/task", "CPU ms/task", "statements/task",
    "by the server", "round trips/task", "connections/task", "AWS calls/task", "MB",
)  # fmt: skip

#: What the two counts of a task's statements may differ by: nothing but what division leaves.
_APART = 1e-9


@dataclass
class Report:
    """Everything that a run measured, as far as it was asked for."""

    machine: dict[str, str]
    cells: list[Cell] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    budgets: list[Budget] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    def add(
        self, title: str, rows: list[dict[str, Any]], budgets: Sequence[Budget] = (), *panels: Panel
    ) -> None:
        """Add a table, what it is held to, and how it is drawn."""
        self.tables[title] = rows
        self.budgets += budgets
        self.panels += panels

    def draw(self, file: Path) -> None:
        """Write what was measured as a picture, in SVG."""
        plot.draw(self.panels, file)

    def text(self) -> str:
        """Return it as Markdown, as a section of a page."""
        parts = [", ".join(f"{name} {value}" for name, value in self.machine.items())]
        if self.cells:
            parts += ["### Calls", _table(_HEAD, map(_row, self.cells))]
        for title, rows in self.tables.items():
            head = list(rows[0])
            parts += [f"### {title}", _table(head, ([_shown(r[h]) for h in head] for r in rows))]
        if self.budgets:
            head = ["budget", "measured", "bound", "met", "the floor's", "the plain's"]
            parts += ["### Budgets", _table(head, map(_judged, self.budgets))]
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "machine": self.machine,
            "cells": [asdict(cell) for cell in self.cells],
            "tables": self.tables,
            "budgets": [asdict(one) | {"met": one.met} for one in self.budgets],
        }

    def faults(self) -> list[str]:
        """Return what has no figure, or two that should be the same: there should be nothing."""
        rows = [
            *(asdict(cell) for cell in self.cells),
            *(r for t in self.tables.values() for r in t),
        ]
        return [
            f"{row} has no {name}" for row in rows for name, value in row.items() if value is None
        ] + [
            f"{cell.case}, {cell.name}: {cell.statements:g} statements were counted at the wire, "
            f"{cell.by_server:g} by the server"
            for cell in self.cells
            if abs(cell.statements - cell.by_server) > _APART
        ]


def machine(server: Mapping[str, str]) -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "PostgreSQL": server["server_version"],
        "fsync": server["fsync"],
        "synchronous_commit": server["synchronous_commit"],
    }


def _row(cell: Cell) -> list[str]:
    figures = (
        cell.p50, cell.p99, cell.task, cell.cpu, cell.statements, cell.by_server,
        cell.round_trips, cell.connections, cell.aws_calls, cell.memory,
    )  # fmt: skip
    return [cell.case, cell.name, *map(_shown, figures)]


def _judged(budget: Budget) -> list[str]:
    others = ["" if one is None else f"{one:.3g}" for one in (budget.floor, budget.plain)]
    met = "yes" if budget.met else "no"
    return [budget.what, f"{budget.figure:.3g}", f"≤ {budget.bound:.3g}", met, *others]


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"  # noqa: PLR2004  (three digits)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join([texts[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *texts[1:]])
