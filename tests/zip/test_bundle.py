"""What is read from a package's template, and how a package is measured."""

from __future__ import annotations

import copy
import platform
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import app as front_door
from chalicelib.chalice_cli.options import Pollers, poll
from chalicelib.settings import Settings
from localdev.errors import StackError
from localdev.lambda_runtime import cold_start
from localdev.lambda_runtime.bundle import Bundle, beside, unpacked
from localdev.mapping import declared

if TYPE_CHECKING:
    from pathlib import Path

    from localdev.deploy.package import Package

pytestmark = pytest.mark.timeout(300)


def test_the_template_declares_what_the_app_declares(made: Package, home: Path) -> None:
    told, packaged = declared.read(front_door.app), Bundle(made, home, {}).declared()
    [source] = told.queues
    assert packaged.queues == (replace(source, queue="interview-queue-prod"),)
    assert packaged.schedules == told.schedules
    assert packaged.functions == {"worker", "sweeper", "migrate", "admin"} <= told.functions


@pytest.mark.parametrize(("environ", "most"), [({}, 10), ({"MAXIMUM_CONCURRENCY": "4"}, 4)])
def test_a_mapping_with_pollers_of_its_own_runs_as_many_workers_here_as_without(
    made: Package, home: Path, environ: dict[str, str], most: int
) -> None:
    resources = copy.deepcopy(made.template["Resources"])
    properties = resources["Worker"]["Properties"]
    poll(properties["Events"]["WorkerSqsEventSource"]["Properties"], Pollers(maximum=20))
    properties["Environment"]["Variables"] |= environ
    polled = replace(made, template=made.template | {"Resources": resources})
    [source] = Bundle(polled, home, {}).declared().queues
    assert source.concurrency == most


def test_a_function_has_what_lambda_the_template_and_we_give_it(made: Package, home: Path) -> None:
    ours = {"TRACING": "off", "AWS_DEFAULT_REGION": "eu-west-1"}
    environ = Bundle(made, home, ours).environ("worker")
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == "tasks-prod-worker"
    assert environ["LAMBDA_TASK_ROOT"] == str(home)
    assert environ["_HANDLER"] == "app.work"
    assert environ["AWS_REGION"] == "eu-west-1"
    assert (environ["PARTIAL_BATCH"], environ["TRACING"]) == ("report", "off")
    assert "HOME" not in environ


def test_functions_of_the_stack_are_told_its_settings_but_not_that_it_lets_everybody_in() -> None:
    stack = {"AUTH": "off", "RETRY_DELAY": "1", "AWS_ENDPOINT_URL_SQS": "http://x", "HOME": "/root"}
    assert beside(stack) == {"RETRY_DELAY": "1", "AWS_ENDPOINT_URL_SQS": "http://x"}
    told = Settings.from_env(beside(stack) | {"AWS_LAMBDA_FUNCTION_NAME": "worker"})
    assert told.auth == "keys"


def test_a_package_for_other_machines_is_not_unpacked(
    made: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(StackError, match=r"the package is for linux, .*cannot run here.*riscv64"):
        unpacked(made, tmp_path / "task")
    assert not (tmp_path / "task").exists()


def test_a_cold_start_is_told_beside_that_of_a_plain_package(
    lambda_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lambda_python
    assert cold_start.main(["--runs", "1"]) == 0
    lines = capfd.readouterr().out.splitlines()
    pattern = r"(\w+) +min +\d+ ms  median +\d+ ms  ratio \d\.\d\d"
    found = [re.fullmatch(pattern, line) for line in lines]
    assert [match and match[1] for match in found] == ["plain", "worker", "API"]
    assert lines[0].endswith("1.00")
