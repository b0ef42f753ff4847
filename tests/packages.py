"""Packaging with no more than Chalice's own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.tree import ROOT

CHALICE = Path(sys.executable).with_name("chalice")
MERGE = ("--merge-template", ".chalice/resources.json")
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tasks-AbCdEf"
DATABASE = {"DATABASE_SECRET_ARN": ARN, "DATABASE_TLS": "rds"}


def configuration(**stages: dict[str, Any]) -> dict[str, Any]:
    """Return a config.json of the tests' own, with these stages besides dev and prod.

    The committed one belongs to whoever deploys. What its stages have in common with these,
    tests/house/test_configuration.py tells.
    """
    limits = {"api_handler": 29, "worker": 60, "sweeper": 55, "migrate": 300, "admin": 15}
    functions: dict[str, dict[str, Any]] = {
        name: {"lambda_timeout": limit, "iam_policy_file": f"policy-{name.split('_')[0]}.json"}
        for name, limit in limits.items()
    }
    functions["admin"]["lambda_memory_size"] = 512
    environ = {
        "QUEUE_NAME": "interview-queue-prod",
        "TRACING": "xray",
        "METRICS": "emf",
        **DATABASE,
    }
    whole = {"dev": {}, "prod": {"environment_variables": environ}, **stages}
    return {
        "version": "2.0",
        "app_name": "tasks",
        "autogen_policy": False,
        "api_gateway_stage": "api",
        "api_gateway_endpoint_type": "REGIONAL",
        "minimum_compression_size": 1024,
        "lambda_memory_size": 1024,
        "log_retention_in_days": 30,
        "xray": True,
        "environment_variables": {"PARTIAL_BATCH": "report"},
        "stages": {name: {"lambda_functions": functions} | stage for name, stage in whole.items()},
    }


def copied(folder: Path, *, bare: bool = False) -> Path:
    """Return a copy of the app with that configuration; bare: and without a requirement.

    What earlier packaging left is not in it.
    """
    ignore = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    app = Path(shutil.copytree(ROOT / "chalice_app", folder / "app", ignore=ignore))
    (app / ".chalice" / "config.json").write_text(json.dumps(configuration()))
    if bare:
        (app / "requirements.txt").write_text("")
    return app


def configure(app: Path, environ: dict[str, str], **stage: Any) -> None:
    """Let the stage prod of the app have this besides, or instead of, what it has."""
    file = app / ".chalice" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["stages"]["prod"].update(stage)
    config["stages"]["prod"]["environment_variables"].update(environ)
    file.write_text(json.dumps(config))


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
