"""The command line of the doctor, and its exit status."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localdev import state
from localdev.aws import account as accounts
from localdev.doctor import aws, local, report
from localdev.doctor.asking import Progress
from localdev.doctor.checks import CHECKS
from localdev.doctor.declared import Declared
from localdev.doctor.finding import Grade
from localdev.errors import StackError
from localdev.processes import APP, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Finding

WELL, WRONG, UNASKED = 0, 1, 2
_EPILOG = """\
exit status: 0 nothing is wrong, 1 something is (a warning is not), 2 it could not be asked.
docs/doctor.md has every check. Nothing is changed.
"""


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev doctor`` and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        facts = _gathered(options)
    except StackError as error:
        _say(str(error))
        return UNASKED
    findings = [check.find(facts) for check in CHECKS if check.here or not facts.here]
    show = report.document if options.json else report.text
    print(show(facts.place, findings))
    return _status(findings)


def _gathered(options: argparse.Namespace) -> Facts:
    if options.stage is None:
        folder = options.data.resolve() if options.data else ROOT / state.DEFAULT_FOLDER
        running = state.read(folder)
        with Progress(_say) as progress:
            return local.gather(running, progress)
    chalice = APP / ".chalice"
    Declared(options.stage, "", chalice).check()
    with Progress(_say) as progress:
        account = accounts.connect(options.region)
        return aws.gather(account, Declared(options.stage, account.region, chalice), progress)


def _status(findings: Sequence[Finding]) -> int:
    if all(finding.grade is Grade.NOT_CHECKED for finding in findings):
        return UNASKED
    return WRONG if report.worst_of(findings) is Grade.WRONG else WELL


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev doctor",
        description="Tell whether the running stack, or a deployed stage, is well.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", nargs="?", help="a deployed stage; without it, the running stack")
    parser.add_argument("--region", help="of the stage; default as boto3 finds it")
    kept = f"where the stack keeps its state; default {state.DEFAULT_FOLDER}"
    parser.add_argument("--data", type=Path, help=kept)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser
