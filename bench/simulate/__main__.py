"""Prints the tables of docs/scale.md: python -m bench.simulate needs | burst | … | all."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ("needs", "bottlenecks", "money", "backlog", "burst", "over_time", "starved")


def main() -> int:
    """Print what is asked for."""
    sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "chalice_app")) if path not in sys.path]
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("what", choices=[*TABLES, "all", "measure", "local"])
    what = parser.parse_args().what
    if what == "measure":
        return _measure()
    if what == "local":
        from bench.simulate import local  # noqa: PLC0415  (starts a whole stack)

        return local.main()
    from bench.simulate import report  # noqa: PLC0415  (needs the paths above)

    for name in TABLES if what == "all" else (what,):
        print(f"\n{name}\n")
        print("\n".join(getattr(report, name)()))
    return 0


def _measure() -> int:
    from bench.simulate import measure  # noqa: PLC0415  (starts a server)

    taken = measure.measure()
    print("| statement | tasks in it | ms of a core | ms on the clock |\n|---|---|---|---|")
    for one in taken:
        print(f"| {one.statement} | {one.tasks} | {one.core * 1e3:.2f} | {one.clock * 1e3:.2f} |")
    for name in measure.STATEMENTS:
        once, each = measure.line(taken, name)
        print(f"{name}: {once * 1e3:.3f} ms once, {each * 1e3:.3f} ms for each task")
    return 0


if __name__ == "__main__":
    sys.exit(main())
