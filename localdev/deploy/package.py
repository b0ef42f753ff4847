"""What is deployed: a stage's zip and template, made by Chalice."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def check_stage(app: Path, stage: str) -> None:
    """Raise StackError unless config.json has the stage, and a database for it."""
    config = json.loads((app / ".chalice" / "config.json").read_text(encoding="utf-8"))
    if stage not in config["stages"]:
        known = ", ".join(config["stages"])
        raise StackError(f"there is no stage {stage} in .chalice/config.json; there are {known}")
    levels = (config, config["stages"][stage])
    environ = [level.get("environment_variables", {}) for level in levels]
    if any(level.get("database") == "aurora" for level in levels):
        return
    if not any({"DATABASE_SECRET_ARN", "DATABASE_URL"} & told.keys() for told in environ):
        raise StackError(
            f"the stage {stage} has no database; in .chalice/config.json set DATABASE_SECRET_ARN "
            'under its environment_variables, or "database": "aurora" (docs/deploy.md)'
        )


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
    template = json.loads((out / "sam.json").read_text(encoding="utf-8"))
    return Package(out / "deployment.zip", template)
