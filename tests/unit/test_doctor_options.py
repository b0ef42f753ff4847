"""What the doctor expects of a stage that has options: pollers, snapshots, tokens."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.settings import Settings
from localdev.doctor.checks import CHECKS
from localdev.doctor.declared import Declared
from localdev.doctor.facts import Facts
from localdev.doctor.finding import Finding, Grade
from localdev.doctor.rights import Account, calls_of
from tests.packages import configuration
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUEUE = "arn:aws:sqs:eu-west-1:1:interview-queue"
SETTINGS = Settings(database_url="postgresql://app@db.example.com/tasks", database_auth="iam")


@pytest.fixture
def declared(tmp_path: Path) -> Callable[..., Declared]:
    """Makes a stage with options."""

    def make(**options: Any) -> Declared:
        folder = tmp_path / "chalice"
        shutil.copytree(ROOT / "chalice_app" / ".chalice", folder)
        (folder / "config.json").write_text(json.dumps(configuration(here=options)))
        return Declared("here", "eu-west-1", folder)

    return make


ON = {"environment_variables": {"PRIORITY_QUEUE": "on"}}


def test_a_stage_with_a_second_queue_is_to_have_its_worker_its_alarms_and_its_rights(
    declared: Callable[..., Declared],
) -> None:
    stage = declared(**ON)
    assert stage.functions["worker_high"] == "tasks-here-worker_high"
    assert {"tasks-here-old-message-high", "tasks-here-worker_high-errors"} < set(stage.alarms)
    told = Settings(priority_queue="on")
    for name in ("worker", "worker_high", "api_handler", "sweeper"):
        granted = json.dumps(stage.rights(name, told, in_vpc=False))
        assert "interview-queue-high" in granted
        assert "${HIGH" not in granted


def test_without_one_nothing_of_it_is_expected(declared: Callable[..., Declared]) -> None:
    stage = declared()
    assert "worker_high" not in stage.functions
    assert not [name for name in stage.alarms if "high" in name]
    assert "high" not in json.dumps(stage.rights("worker", Settings(), in_vpc=False))


def test_each_queue_has_to_feed_its_worker(declared: Callable[..., Declared]) -> None:
    stage, told = declared(**ON), Settings(priority_queue="on")
    usual = {"State": "Enabled", "BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 10}}
    both = [usual | {"UUID": name, "EventSourceArn": f"{QUEUE}{name}"} for name in ("", "-high")]
    well = facts_of(stage, told, both)
    assert check_of("mapping").find(well).grade is Grade.OK
    one = check_of("mapping").find(facts_of(stage, told, both[:1]))
    assert one.grade is Grade.WRONG
    assert one.notes[0].found == "nothing feeds the worker from interview-queue-high"
    both[1] = both[1] | {"BatchSize": 3}
    other = check_of("mapping").find(facts_of(stage, told, both))
    assert "--uuid -high" in other.notes[0].cure


def check_of(name: str) -> Any:
    return next(check for check in CHECKS if check.name == name)


def facts_of(stage: Declared, told: Settings, mappings: list[dict[str, Any]]) -> Facts:
    return Facts(
        place="",
        settings=told,
        queue={},
        dead_letter_queue={},
        diagnosis={},
        ready="",
        declared=stage,
        mappings=mappings,
    )


def found(check: str, stage: Declared, *, reserved: int | None = None, **mapping: Any) -> Finding:
    """Return what a check finds of a stage whose mapping has these besides."""
    whole = {"UUID": "u", "EventSourceArn": QUEUE, "State": "Enabled", "BatchSize": 10}
    server = {
        "max_connections": 300,
        "reserved": 3,
        "others": 0,
        "role_limit": None,
        "database_limit": None,
    }
    facts = Facts(
        place="",
        settings=Settings(),
        queue={},
        dead_letter_queue={},
        diagnosis={"server": server},
        ready="",
        declared=stage,
        mappings=[whole | mapping],
        reserved={"api_handler": 20, "worker": reserved, "sweeper": None},
        unreserved=5000,
    )
    return next(one for one in CHECKS if one.name == check).find(facts)


def test_pollers_take_the_place_of_the_maximum_concurrency(
    declared: Callable[..., Declared],
) -> None:
    stage = declared(pollers={"minimum": 3, "maximum": 20})
    asked: dict[str, Any] = {"ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 20}}
    assert found("mapping", stage, **asked).grade is Grade.OK
    finding = found("mapping", stage, ScalingConfig={"MaximumConcurrency": 10})
    assert [note.found for note in finding.notes[:2]] == [
        "pollers.minimum is 3, and the mapping has None",
        "pollers.maximum is 20, and the mapping has None",
    ]
    assert "--provisioned-poller-config MaximumPollers=20" in finding.notes[1].cure


def test_pollers_may_invoke_ten_workers_each_unless_fewer_are_reserved(
    declared: Callable[..., Declared],
) -> None:
    stage = declared(pollers={"minimum": 3, "maximum": 30})
    finding = found("connections", stage)
    assert finding.grade is Grade.WRONG
    assert finding.notes[0].found.startswith("the worker takes 300 connections at most")
    assert found("connections", stage, reserved=200).grade is Grade.OK


def test_what_is_restored_from_snapshots_is_asked_for_by_its_alias(
    declared: Callable[..., Declared],
) -> None:
    stage = declared(snapstart=True)
    aliases = {short: stage.qualifier(short) for short in stage.functions}
    assert {short for short, alias in aliases.items() if alias} == {"api_handler", "worker"}
    assert set(aliases.values()) == {"live", None}


def test_without_snapshots_there_is_no_alias(declared: Callable[..., Declared]) -> None:
    assert declared().qualifier("worker") is None


def test_a_role_that_logs_in_by_tokens_has_to_be_allowed_to(
    declared: Callable[..., Declared],
) -> None:
    stage = declared(database_resource_id="cluster-ABC")
    rights = stage.rights("worker", SETTINGS, in_vpc=False)
    calls = [calls_of(statement, Account("aws", "eu-west-1", "1")) for statement in rights]
    arn = "arn:aws:rds-db:eu-west-1:1:dbuser:cluster-ABC/app"
    assert (["rds-db:connect"], [arn]) in calls


def test_of_a_database_of_the_stacks_own_only_the_stack_knows_the_user(
    declared: Callable[..., Declared],
) -> None:
    rights = json.dumps(declared(database="aurora").rights("worker", SETTINGS, in_vpc=True))
    assert "rds-db" not in rights
    assert "ec2:CreateNetworkInterface" in rights
    assert "${" not in rights
