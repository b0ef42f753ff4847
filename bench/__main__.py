"""Measures the service, the plain algorithm and the bare calls, side by side."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bench import budgets, growth, measure, plot, promises, report, starts, whole
from bench.stage import stage
from localdev.errors import StackError
from localdev.tools import say

ROUNDS, SMOKE_ROUNDS = 5, 1


def main() -> int:
    """Run ``python -m bench`` and return its exit code: 2 if something did not run."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        told = _measured(options)
    except KeyboardInterrupt:
        return 130
    except StackError as error:
        say(str(error))
        return 2
    print(told.text())  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(told.as_dict(), indent=2) + "\n", encoding="utf-8")
    if options.plot:
        plot.draw(told.cells, options.plot)
    for line in told.unfilled():
        say(line)
    return 2 if told.unfilled() else 0


def _measured(options: argparse.Namespace) -> report.Report:
    rounds = SMOKE_ROUNDS if options.smoke else options.rounds
    with stage(durable=not options.no_sync) as scene:
        told = report.Report(report.machine(scene.machine()))
        homes = [
            scene.ours(budgets.OURS),
            scene.plain(),
            scene.floor(),
            scene.ours(budgets.KEYS, keys=True),
        ]
        chosen = measure.cases(smoke=options.smoke)
        told.cells = measure.measured(scene, homes, chosen, rounds, say)
        told.budgets = budgets.of_cells(told.cells)
        if options.growth:
            sizes = growth.SMOKE_SIZES if options.smoke else growth.SIZES
            told.tables["growth"], more = growth.measured(scene, sizes, rounds, say)
            told.budgets += more
    if options.cold_start:
        runs = starts.SMOKE_STARTS if options.smoke else starts.STARTS
        told.tables["init"], more = starts.measured(runs)
        told.budgets += more
    if options.whole:
        clients = whole.SMOKE_CLIENTS if options.smoke else whole.CLIENTS
        tasks = whole.SMOKE_TASKS if options.smoke else whole.TASKS
        told.tables["end to end"] = whole.measured(clients, tasks, say)
        alone = told.tables["end to end"][0]
        told.tables["promises"] = promises.beside(told.cells, alone)
    return told


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    add = parser.add_argument
    add("--smoke", action="store_true", help="tiny sizes: does everything run?")
    add("--rounds", type=int, default=ROUNDS, help=f"turns of each; default {ROUNDS}")
    add("--no-sync", action="store_true", help="let PostgreSQL not wait for the disk")
    add("--growth", action="store_true", help="claim, finish and list among a million rows")
    add("--cold-start", action="store_true", help="starts of the packaged functions")
    add("--whole", action="store_true", help="the running local stack, over HTTP")
    add("--json", type=Path, help="a file for the report")
    add("--plot", type=Path, help="a file for a chart, as SVG")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
