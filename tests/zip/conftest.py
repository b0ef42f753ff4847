"""The package as Lambda would have it: unpacked, alone, under AWS's own runtime client."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from localdev.deploy import package
from localdev.lambda_runtime.bundle import CLIENT, Bundle, unpacked
from localdev.lambda_runtime.sandbox import Sandbox
from tests.packages import copied
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "us-east-1"
#: Handlers that a test can see through, packaged with the app.
HANDLERS = """
import time
from chalicelib.registry import handler

@handler("overruns")
def overruns(task, context):
    time.sleep(600)

@handler("deaf")
def deaf(task, context):
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

@handler("tells_what_is_left")
def tells_what_is_left(task, context):
    return context.remaining()

@handler("fails")
def fails(task, context):
    raise ValueError("it never works")
"""


@pytest.fixture(scope="session")
def made(lambda_python: Path, tmp_path_factory: pytest.TempPathFactory) -> package.Package:
    """The stage prod, packaged."""
    assert lambda_python
    folder = tmp_path_factory.mktemp("zip")
    app = copied(folder)
    (app / "chalicelib" / "handlers" / "of_a_test.py").write_text(HANDLERS)
    return package.make(app, "prod", folder / "out", os.environ, REGION)


@pytest.fixture(scope="session")
def home(made: package.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has the unpacked package, and nothing else."""
    return unpacked(made, tmp_path_factory.mktemp("task"))


class Cloud:
    """Starts functions of the package; what they write is in ``log``."""

    def __init__(self, made: package.Package, home: Path, python: Path, log: Path) -> None:
        self.home = home
        self.more: dict[str, str] = {}
        self.log = log
        self._made = made
        self._python = python
        self._stack = contextlib.ExitStack()

    def start(
        self,
        function: str,
        *flags: str | Path,
        seconds: float = 60,
        **more: str,
    ) -> Sandbox:
        """Start a process and wait for it; ``flags`` are for Python, before its program."""
        environ = Bundle(self._made, self.home, self.more | more).environ(function)
        program = flags if "-c" in flags else (*flags, *CLIENT)
        output = self._stack.enter_context(self.log.open("ab"))
        command = [self._python, *program, environ["_HANDLER"]]
        sandbox = Sandbox(command, self.home, environ, output)
        self._stack.callback(sandbox.close)
        sandbox.wait_until_ready(seconds)
        return sandbox

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def bare_cloud(
    made: package.Package, home: Path, lambda_python: Path, tmp_path: Path
) -> Iterator[Cloud]:
    """Functions that know no server."""
    cloud = Cloud(made, home, lambda_python, tmp_path / "log")
    cloud.more = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TRACING": "off",
        "DATABASE_SECRET_ARN": "",
        "DATABASE_TLS": "",
    }
    yield cloud
    cloud.close()


@pytest.fixture
def cloud(bare_cloud: Cloud, database_url: str, sqs_endpoint: str, queue_name: str) -> Cloud:
    """Functions on a migrated database and a queue of their own."""
    bare_cloud.more |= {
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL_SQS": sqs_endpoint,
        "QUEUE_NAME": queue_name,
    }
    return bare_cloud


@pytest.fixture
def table(database_url: str) -> Iterator[Table]:
    """The table ``tasks``, behind the functions' back."""
    with contextlib.closing(Table(database_url)) as table:
        yield table
