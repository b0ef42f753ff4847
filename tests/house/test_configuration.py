"""What every stage of config.json has to keep, whoever wrote it: ours, and such as docs/deploy.md
tells people to write.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chalice.config import Config

from chalicelib import sweeper
from chalicelib.chalice_cli import stage as stages
from chalicelib.settings import Settings
from tests.packages import DATABASE, configuration

CHALICE = Path(__file__).parents[2] / "chalice_app" / ".chalice"
COMMITTED = json.loads((CHALICE / "config.json").read_text(encoding="utf-8"))
TOKENS = {
    "QUEUE_NAME": "interview-queue-prod",
    "DATABASE_URL": "postgresql://tasks@db.eu-west-1.rds.amazonaws.com:5432/tasks",
    "DATABASE_AUTH": "iam",
    "DATABASE_TLS": "rds",
}
#: Each as somebody who follows docs/deploy.md, step 2, makes it.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "as committed": COMMITTED,
    "with a secret": configuration(),
    "with a database of the stack's own": configuration(
        prod={"database": "aurora", "environment_variables": {"QUEUE_NAME": "interview-queue-prod"}}
    ),
    "with tokens": configuration(
        prod={"database_resource_id": "cluster-ABC123", "environment_variables": TOKENS}
    ),
    "with a third stage": configuration(
        staging={"environment_variables": {"QUEUE_NAME": "staging", **DATABASE}}
    ),
}


@pytest.fixture(params=CONFIGURATIONS)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A whole config.json."""
    return CONFIGURATIONS[request.param]


@pytest.fixture(
    params=[(name, stage) for name, whole in CONFIGURATIONS.items() for stage in whole["stages"]],
    ids=str,
)
def told(request: pytest.FixtureRequest) -> tuple[dict[str, Any], str]:
    """A config.json and one of its stages."""
    name, stage = request.param
    return CONFIGURATIONS[name], stage


def functions(told: tuple[dict[str, Any], str]) -> dict[str, Any]:
    config, stage = told
    return dict(config["stages"][stage]["lambda_functions"])


def environ(config: dict[str, Any], stage: str) -> dict[str, str]:
    own = config["stages"][stage].get("environment_variables", {})
    return {**config.get("environment_variables", {}), **own}


def test_each_function_has_limits_and_a_policy_of_its_own(told: tuple[dict[str, Any], str]) -> None:
    found = functions(told)
    assert set(found) == {"api_handler", "worker", "sweeper", "migrate", "admin"}
    policies = {function["iam_policy_file"] for function in found.values()}
    assert len(policies) == len(found)
    assert all((CHALICE / policy).is_file() for policy in policies)


def test_the_sweeper_ends_before_its_next_tick(told: tuple[dict[str, Any], str]) -> None:
    assert sweeper.RESERVE < functions(told)["sweeper"]["lambda_timeout"] < 60


def test_the_api_ends_before_the_gateway_gives_up(told: tuple[dict[str, Any], str]) -> None:
    assert functions(told)["api_handler"]["lambda_timeout"] <= 29


def test_a_stage_that_has_a_database_can_be_packaged(
    told: tuple[dict[str, Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, stage = told
    for name, value in environ(config, stage).items():  # as Chalice's command does
        monkeypatch.setenv(name, value)
    has_one = environ(config, stage).keys() & {"DATABASE_URL", "DATABASE_SECRET_ARN"}
    if has_one or config["stages"][stage].get("database") == "aurora":
        assert stages.names(Config(stage, config_from_disk=config))["STAGE"] == stage


def test_no_two_stages_share_a_queue(config: dict[str, Any]) -> None:
    default = Settings().queue_name
    names = [environ(config, stage).get("QUEUE_NAME", default) for stage in config["stages"]]
    assert len(set(names)) == len(names)


def test_the_default_stage_leaves_to_the_shell_what_a_laptop_sets(config: dict[str, Any]) -> None:
    """Chalice's local server takes the stage dev, and its variables win over the shell's."""
    assert environ(config, "dev") == {"PARTIAL_BATCH": "report"}


PASSWORD = re.compile(
    r"[a-z]+://[^/@\s\"]*:[^/@\s\"]*@|password=|access_key|endpoint_url",
    re.IGNORECASE,
)


def test_no_password_or_endpoint_is_in_the_configuration(config: dict[str, Any]) -> None:
    assert not PASSWORD.search(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://tasks:hunter2@db/tasks"),
        ("DATABASE_URL", "postgresql://tasks@db/tasks?password=hunter2"),
        ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:4566"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ],
)
def test_a_password_or_an_endpoint_would_be_seen(name: str, value: str) -> None:
    told = configuration(prod={"environment_variables": {name: value}})
    assert PASSWORD.search(json.dumps(told))
