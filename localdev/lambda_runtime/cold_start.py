"""Measures how long the package's functions take to start, beside a package as pip makes it."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.chalice_cli.refusals import FOR_A_LAPTOP
from localdev import tools
from localdev.deploy import package
from localdev.errors import StackError
from localdev.lambda_runtime.bundle import Bundle
from localdev.mapping.function import START_LIMIT, InvocationFailed
from localdev.processes import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localdev.lambda_runtime.sandbox import Sandbox

#: Loads all that any function ever needs, before the first event.
EVERYTHING = """
from aws_xray_sdk.core import patch
import boto3
from app import app
patch(("botocore",))
client = boto3.client("sqs", region_name="us-east-1")
"""
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
_EPILOG = """\
From the start of the process until it asks for its first event, with AWS's runtime client. Plain is
the same app with its requirements as pip unpacks them, nothing stripped or compiled, importing
boto3, X-Ray and the app. The three take turns; compare the smallest.
"""


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev cold-start``. Raises StackError."""
    told = measured(_parser().parse_args(arguments).runs)
    for name, times in told.items():
        least, middle = min(times), statistics.median(times)
        ratio = least / min(told["plain"])
        print(f"{name:8} min {least:5.0f} ms  median {middle:5.0f} ms  ratio {ratio:.2f}")
    return 0


def measured(runs: int) -> dict[str, list[float]]:
    """Return the milliseconds of so many starts of each: plain, worker, API. Raises StackError."""
    with tempfile.TemporaryDirectory() as folder:
        tools.say("packaging twice …")
        environ = {**os.environ, FOR_A_LAPTOP: "1"}
        made = package.make(APP, "dev", Path(folder, "out"), environ, "us-east-1")
        bundle = Bundle.of(made.zip.parent, {})
        plain = Bundle(made, _plain(Path(folder, "plain"), bundle.home), {})
        starts: dict[str, Callable[[], Sandbox]] = {
            "plain": lambda: plain.start("worker", "everything.app"),
            "worker": lambda: bundle.start("worker"),
            "API": lambda: bundle.start("api_handler"),
        }
        return _taking_turns(starts, runs)


def _taking_turns(starts: dict[str, Callable[[], Sandbox]], runs: int) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(runs):
        for name, start in starts.items():
            sandbox = start()
            try:
                sandbox.wait_until_ready(START_LIMIT)
            except InvocationFailed as failure:
                raise StackError(f"{name} {failure}") from None
            sandbox.close()
            told[name].append(sandbox.init_seconds * 1000)
    return told


def _plain(folder: Path, home: Path) -> Path:
    sources = shutil.ignore_patterns("__pycache__", ".chalice")
    shutil.copytree(APP, folder, ignore=sources)
    # Of Chalice a package has these few files only.
    shutil.copytree(home / "chalice", folder / "chalice", ignore=sources)
    command: list[str | Path] = [sys.executable, *_PIP, "--target", folder]
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [*command, "--no-compile", "--require-hashes", "-r", APP / "requirements.txt"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StackError(f"the plain package could not be made:\n{done.stderr.strip()}")
    (folder / "everything.py").write_text(EVERYTHING, encoding="utf-8")
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev cold-start",
        description="Measure how long the package's functions take to start.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=7, help="starts of each; default 7")
    return parser
