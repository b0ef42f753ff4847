"""Packaging with no more than Chalice's own command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tree import ROOT

CHALICE = Path(sys.executable).with_name("chalice")
MERGE = ("--merge-template", ".chalice/resources.json")


def copied(folder: Path, *, bare: bool = False) -> Path:
    """Return a copy of the app, without what earlier packaging left; bare: and no requirement."""
    ignore = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    app = Path(shutil.copytree(ROOT / "chalice_app", folder / "app", ignore=ignore))
    if bare:
        (app / "requirements.txt").write_text("")
    return app


def packaged(
    app: Path, out: Path, *more: str, stage: str = "prod"
) -> subprocess.CompletedProcess[str]:
    """Package a stage of the app into the folder ``out``."""
    return chalice(app, "package", "--stage", stage, *more, str(out))


def chalice(app: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one of Chalice's commands on the app."""
    return subprocess.run(
        [CHALICE, *arguments],
        cwd=app,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", **environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
