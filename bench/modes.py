"""What a run may measure, and the order it does it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import batches, budgets, costs, growth, measure, pictures, promises, starts, told, whole
from bench.report import Report, machine
from bench.stage import stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.stage import Stage

ROUNDS = 5
BATCHES, GROWTH, WHOLE, COLD_START = "batches", "growth", "whole", "cold-start"
#: Beside the calls, which are measured always.
MODES = {
    BATCHES: "batches of up to 10,000 messages",
    GROWTH: "claim, finish and list among a million rows",
    WHOLE: "both services over HTTP, with 1, 16 and 64 clients",
    COLD_START: "starts of the packaged functions",
}
ALL = frozenset(MODES)


@dataclass(frozen=True)
class Wanted:
    """What is to be measured: how often each takes its turn, and which modes."""

    rounds: int
    smoke: bool
    durable: bool
    modes: frozenset[str]


def measured(wanted: Wanted, say: Callable[[str], None]) -> Report:
    """Return the report. Raises StackError if something does not run."""
    rounds = 1 if wanted.smoke else wanted.rounds
    with stage(durable=wanted.durable) as scene:
        report = Report(machine(scene.machine()))
        _calls(report, scene, rounds, wanted, say)
        if GROWTH in wanted.modes:
            sizes = growth.SMOKE_SIZES if wanted.smoke else growth.SIZES
            rows, more = growth.measured(scene, sizes, rounds, say)
            report.add("Growth", rows, more, pictures.of_growth(rows, sizes))
        if WHOLE in wanted.modes:
            loads = whole.SMOKE_LOADS if wanted.smoke else whole.LOADS
            runs = whole.measured(scene, loads, min(rounds, whole.ROUNDS), say)
            ends = told.summed(runs)
            picture = pictures.of_whole(ends)
            report.add("End to end", [one.row() for one in ends], told.budgets(ends), picture)
            report.add("Promises", promises.beside(report.cells, runs))
    if COLD_START in wanted.modes:
        say("starting the packaged functions …")
        report.add(
            "Starts", *starts.measured(starts.SMOKE_STARTS if wanted.smoke else starts.STARTS)
        )
    return report


def _calls(
    report: Report, scene: Stage, rounds: int, wanted: Wanted, say: Callable[[str], None]
) -> None:
    ours, plain, floor = scene.ours(budgets.OURS), scene.plain(), scene.floor()
    homes = [ours, plain, floor, scene.ours(budgets.KEYS, keys=True)]
    cases = measure.cases(smoke=wanted.smoke)
    report.cells = measure.measured(scene, homes, cases, rounds, say)
    report.budgets = budgets.of_cells(report.cells)
    report.panels = [pictures.of_cells(report.cells)]
    report.add("Dollars per million tasks", costs.of_million(report.cells, cases))
    if BATCHES in wanted.modes:
        sizes = batches.SMOKE_SIZES if wanted.smoke else batches.SIZES
        rows = batches.measured(scene, [ours, floor], sizes, rounds, say)
        report.add("Large batches", rows, batches.budgets(rows))
