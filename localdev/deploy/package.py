"""What is deployed: a stage's zip and template, made by Chalice."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localdev.aws import names
from localdev.errors import StackError
from localdev.processes import APP
from localdev.tools import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MERGE = ("--merge-template", ".chalice/resources.json")


@dataclass(frozen=True)
class Package:
    """A stage's zip, and the template that still names it as a file beside it."""

    zip: Path
    template: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the zip: the same app has the same, and CloudFormation sees that."""
        return hashlib.sha256(self.zip.read_bytes()).hexdigest()

    def template_with(self, uri: str) -> str:
        """Return the template with the zip's address in S3."""
        whole = json.loads(json.dumps(self.template))
        for one in whole["Resources"].values():
            if one["Type"] == "AWS::Serverless::Function":
                one["Properties"]["CodeUri"] = uri
        return json.dumps(whole, sort_keys=True)


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev package``. Raises StackError saying what is wrong."""
    options = _parser().parse_args(arguments)
    check_stage(APP, options.stage)
    say(f"packaging stage {options.stage} (downloads its libraries where they are not cached) …")
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    made = make(APP, options.stage, options.out.resolve(), os.environ, region)
    print(options.out / "sam.json")
    print(f"{options.out / 'deployment.zip'}  {made.zip.stat().st_size:,} bytes")
    print(f"sha256 {made.digest}")
    return 0


def check_stage(app: Path, stage: str) -> None:
    """Raise StackError unless config.json has the stage."""
    config = json.loads((app / ".chalice" / "config.json").read_text(encoding="utf-8"))
    names.check(config, stage)


def make(app: Path, stage: str, out: Path, environ: Mapping[str, str], region: str) -> Package:
    """Package the stage into the folder ``out``. Raises StackError with what Chalice said."""
    done = subprocess.run(  # noqa: S603  (Chalice's command, from our own environment)
        [Path(sys.executable).with_name("chalice"), "package", "--stage", stage, *_MERGE, out],
        cwd=app,
        env={**environ, "AWS_DEFAULT_REGION": region},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StackError(f"Chalice could not package the stage:\n{done.stderr.strip()}")
    return read(out)


def read(out: Path) -> Package:
    """Return the package that was made into the folder ``out``."""
    template = json.loads((out / "sam.json").read_text(encoding="utf-8"))
    return Package(out / "deployment.zip", template)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev package",
        description="Make what is deployed: OUT/deployment.zip, and its template OUT/sam.json.",
    )
    parser.add_argument("stage", help="one of .chalice/config.json: dev or prod")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to put them in")
    return parser
