"""The template of each stage, as packaged and as translated, and an AWS of moto's."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest

from tests.packages import MERGE, copied, packaged
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "us-east-1"
STAGES = ("dev", "prod", "test")
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


#: A stage as docs/deploy.md has it set up: with a secret, in a VPC.
CONFIGURED = {
    "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "security_group_ids": ["sg-0123456789abcdef0"],
    "environment_variables": {
        "QUEUE_NAME": "interview-queue-test",
        "DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tasks-AbCdEf",
        "DATABASE_TLS": "rds",
        "METRICS": "emf",
        "METRICS_STAGE": "prod",
    },
}


@pytest.fixture(scope="session")
def packages(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packaged]:
    """Every stage, packaged without the requirements, of which the template says nothing."""
    folder = tmp_path_factory.mktemp("stages")
    app = copied(folder, bare=True)
    file = app / ".chalice" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["stages"]["test"] = {**config["stages"]["prod"], **CONFIGURED}
    file.write_text(json.dumps(config))
    found = {}
    for stage in STAGES:
        done = packaged(app, folder / stage, *MERGE, stage=stage)
        assert done.returncode == 0, done.stderr
        text = (folder / stage / "sam.json").read_text(encoding="utf-8")
        found[stage] = Packaged(stage, folder / stage, json.loads(text), _translate(tools, text))
    return found


@pytest.fixture(params=STAGES)
def package(request: pytest.FixtureRequest, packages: dict[str, Packaged]) -> Packaged:
    """A stage's package."""
    return packages[request.param]


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


@pytest.fixture
def aws(tools: Path, tmp_path: Path) -> Iterator[Aws]:
    """An AWS with nothing in it."""
    with (tmp_path / "moto.log").open("w") as log:
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
        assert port, (tmp_path / "moto.log").read_text()
        # By its name: so moto knows that the bucket is in the path.
        yield Aws(f"http://localhost:{port}")
        server.kill()
        server.wait()
        server.stdout.close()
