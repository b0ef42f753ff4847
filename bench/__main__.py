"""Measures the service, the plain algorithm and the bare calls, side by side."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bench import modes
from localdev.errors import StackError
from localdev.tools import say


def main() -> int:
    """Run ``python -m bench`` and return its exit code: 2 if something did not run."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    wanted = modes.Wanted(
        rounds=options.rounds,
        smoke=options.smoke,
        durable=not options.no_sync,
        modes=modes.ALL if options.everything or options.smoke else _chosen(options),
    )
    try:
        told = modes.measured(wanted, say)
    except KeyboardInterrupt:
        return 130
    except StackError as error:
        say(str(error))
        return 2
    print(told.text())  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(told.as_dict(), indent=2) + "\n", encoding="utf-8")
    if options.plot:
        told.draw(options.plot)
    for line in told.faults():
        say(line)
    return 2 if told.faults() else 0


def _chosen(options: argparse.Namespace) -> frozenset[str]:
    return frozenset(name for name in modes.ALL if getattr(options, name.replace("-", "_")))


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    add = parser.add_argument
    for name, what in modes.MODES.items():
        add(f"--{name}", action="store_true", help=what)
    add("--everything", action="store_true", help="all of these")
    add("--smoke", action="store_true", help="all of these in tiny sizes: does it run?")
    add("--rounds", type=int, default=modes.ROUNDS, help=f"turns of each; default {modes.ROUNDS}")
    add("--no-sync", action="store_true", help="let PostgreSQL not wait for the disk")
    add("--json", type=Path, help="a file for the report")
    add("--plot", type=Path, help="a file for a chart, as SVG")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
