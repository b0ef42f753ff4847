"""Runs a soak; exits with 1 if the oracle finds a violation."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from localdev.errors import StackError
from soak.options import Options
from soak.run import soak


def main() -> int:
    """Run ``python -m soak`` and return its exit code."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    kept = Path(options.data).resolve() if options.data else None
    try:
        report = soak(
            Options(
                tasks=options.tasks,
                seed=options.seed,
                factor=options.factor,
                algorithm=options.algorithm,
                workers=options.workers,
                judge_letters=options.judge_letters,
                data=kept,
            )
        )
    except KeyboardInterrupt:
        return 130
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    print(report.text())  # noqa: T201
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    return 1 if report.violations else 0


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak.sh", description=__doc__)
    add = parser.add_argument
    add("--tasks", type=int, default=5000)
    add("--seed", type=int, default=1, help="of the faults and of how attempts end")
    add("--factor", type=float, default=0.02, help="scales the protocol's times")
    add("--algorithm", choices=["ours", "plain"], default="ours")
    add("--workers", type=int, default=8, help="worker processes")
    add("--judge-letters", action="store_true", help="failed tasks and dead letters must agree")
    add("--data", help="a folder to work in and keep; a temporary one if not given")
    add("--json", help="a file for the report")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
