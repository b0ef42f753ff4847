"""Measures the service, the seed's own algorithm and the bare calls, side by side."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bench import budgets, measure, report
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
    for line in told.unfilled():
        say(line)
    return 2 if told.unfilled() else 0


def _measured(options: argparse.Namespace) -> report.Report:
    with stage(durable=not options.no_sync) as scene:
        told = report.Report(report.machine(scene.machine()))
        homes = [
            scene.ours(budgets.OURS),
            scene.seed(),
            scene.floor(),
            scene.ours(budgets.KEYS, keys=True),
        ]
        chosen = measure.cases(smoke=options.smoke)
        rounds = SMOKE_ROUNDS if options.smoke else options.rounds
        told.cells = measure.measured(scene, homes, chosen, rounds, say)
        told.budgets = budgets.of_cells(told.cells)
    return told


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    add = parser.add_argument
    add("--smoke", action="store_true", help="tiny sizes: does everything run?")
    add("--rounds", type=int, default=ROUNDS, help=f"turns of each; default {ROUNDS}")
    add("--no-sync", action="store_true", help="let PostgreSQL not wait for the disk")
    add("--json", type=Path, help="a file for the report")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
