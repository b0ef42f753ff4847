"""The template of each stage, as packaged and as translated, and an AWS of moto's."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest

from chalicelib.chalice_cli.options import SNAPSTART_SINCE, Options
from tests.packages import ARN, MERGE, configuration, copied, packaged
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "us-east-1"
TOOLS = ROOT / ".venv.template" / "bin"


def _missing(message: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs that scripts/template.sh installs."""
    if not (TOOLS.parent / "installed").exists():
        _missing("scripts/template.sh installs the tools of these tests")
    return TOOLS


@dataclass(frozen=True)
class Packaged:
    """A stage's package: the folder, the SAM template, and what CloudFormation makes of it."""

    stage: str
    folder: Path
    sam: dict[str, Any]
    translated: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the translated resources of one type, by logical id."""
        return {
            name: one["Properties"]
            for name, one in self.translated["Resources"].items()
            if one["Type"] == kind
        }


#: What an older Python packages has no snapshots; there the test puts them in afterwards.
CAN_SNAP = sys.version_info >= SNAPSTART_SINCE
FUNCTIONS: dict[str, dict[str, Any]] = configuration()["stages"]["prod"]["lambda_functions"]
#: Stages as docs/deploy.md has them set up.
CONFIGURED: dict[str, dict[str, Any]] = {
    # With a secret, in a VPC.
    "test": {
        "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "security_group_ids": ["sg-0123456789abcdef0"],
        "environment_variables": {
            "QUEUE_NAME": "interview-queue-test",
            "DATABASE_SECRET_ARN": ARN.replace("us-east-1", "eu-west-1"),
            "DATABASE_TLS": "rds",
            "METRICS": "emf",
            "FILES": "s3://our-files/tasks/",
            "METRICS_STAGE": "prod",  # as a copy of the block might say
        },
    },
    # With a database of its own.
    "aurora": {
        "database": "aurora",
        "environment_variables": {"QUEUE_NAME": "interview-queue-aurora", "TRACING": "xray"},
    },
    # The same by tokens, and every other option.
    "every": {
        "database": "aurora",
        "snapstart": CAN_SNAP,
        "pollers": {"minimum": 3, "maximum": 20},
        "lambda_functions": FUNCTIONS
        | {"api_handler": {**FUNCTIONS["api_handler"], "reserved_concurrency": 1000}},
        "environment_variables": {
            "QUEUE_NAME": "interview-queue-every",
            "PRIORITY_QUEUE": "on",
            "DATABASE_AUTH": "iam",
        },
    },
    # By tokens to a database that is there.
    "tokens": {
        "database_resource_id": "cluster-ABC123",
        "environment_variables": {
            "QUEUE_NAME": "interview-queue-tokens",
            "DATABASE_URL": "postgresql://app@db.example.com/tasks",
            "DATABASE_TLS": "rds",
            "DATABASE_AUTH": "iam",
            # As slow as it gets, and as many at once.
            "WORKER_TIMEOUT": "300",
            "BATCH_SIZE": "10000",
            "BATCH_WINDOW": "300",
            "MAX_RECEIVE_COUNT": "5",
        },
        "lambda_functions": FUNCTIONS | {"worker": {**FUNCTIONS["worker"], "lambda_timeout": 300}},
    },
}
STAGES = ("prod", *CONFIGURED)


def configured(folder: Path) -> Path:
    """Return a copy of the app that has these stages."""
    app = copied(folder, bare=True)
    told = json.dumps(configuration(**CONFIGURED))
    (app / ".chalice" / "config.json").write_text(told)
    return app


@pytest.fixture(scope="session")
def packages(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packaged]:
    """Every stage, packaged without the requirements, of which the template says nothing."""
    folder = tmp_path_factory.mktemp("stages")
    app = configured(folder)
    found = {}
    for stage in STAGES:
        done = packaged(app, folder / stage, *MERGE, stage=stage)
        assert done.returncode == 0, done.stderr
        file = folder / stage / "sam.json"
        if stage == "every" and not CAN_SNAP:
            file.write_text(_snapped(file.read_text(encoding="utf-8")))
        text = file.read_text(encoding="utf-8")
        found[stage] = Packaged(stage, folder / stage, json.loads(text), _translate(tools, text))
    return found


@pytest.fixture(params=STAGES)
def package(request: pytest.FixtureRequest, packages: dict[str, Packaged]) -> Packaged:
    """A stage's package."""
    return packages[request.param]


def _snapped(text: str) -> str:
    template = json.loads(text)
    Options(snapstart=True).apply(template, ROOT, None, iam=False)
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            one["Properties"]["Runtime"] = "python3.13"
    return json.dumps(template)


def _translate(tools: Path, text: str) -> dict[str, Any]:
    done = subprocess.run(
        [tools / "python", "-m", "tests.template.translate"],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": REGION},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


class Aws:
    """An AWS of moto's, and boto3's clients for it."""

    def __init__(self, endpoint: str) -> None:
        """Take its address."""
        self.endpoint = endpoint

    def client(self, service: str) -> Any:
        """Return a client."""
        make: Any = boto3.client  # whose stubs know each name as a literal
        return make(service, region_name=REGION, endpoint_url=self.endpoint)

    def environ(self) -> dict[str, str]:
        """Return what leads another program's AWS SDK there."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_SQS": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "localhost",
        }


@contextlib.contextmanager
def moto(tools: Path, folder: Path) -> Iterator[Aws]:
    """Start an AWS of moto's with nothing in it."""
    with (folder / "moto.log").open("w") as log:
        server = subprocess.Popen(
            [tools / "python", "-m", "tests.template.moto_aws"],
            cwd=ROOT,
            env={**os.environ, "AWS_DEFAULT_REGION": REGION},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert server.stdout
        port = server.stdout.readline().strip()
        assert port, (folder / "moto.log").read_text()
        # By its name: so moto knows that the bucket is in the path.
        yield Aws(f"http://localhost:{port}")
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture
def aws(tools: Path, tmp_path: Path) -> Iterator[Aws]:
    """An AWS with nothing in it."""
    with moto(tools, tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def shared_aws(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An AWS that the tests of one file share."""
    with moto(tools, tmp_path_factory.mktemp("moto")) as one:
        yield one
