"""scripts/doctor.sh on the running stack, and where nothing runs."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from localdev.doctor.checks import CHECKS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


def doctor(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/doctor.sh", *arguments],
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_stack_that_runs_is_well(stack: Stack) -> None:
    done = doctor(stack, "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert {check["name"]: check for check in told["checks"] if check["status"] != "ok"} == {}
    assert [check["name"] for check in told["checks"]] == [c.name for c in CHECKS if c.here]
    assert told["place"] == f"the local stack at http://127.0.0.1:{stack.port}"
    assert (told["status"], done.returncode) == ("ok", 0)


def test_a_queue_that_was_spoilt_is_found_and_its_cure_cures_it(stack: Stack) -> None:
    spoil = 'eval "$(.venv/bin/python -m localdev env)"; scripts/seed_localstack.sh'
    subprocess.run(
        ["/bin/sh", "-ec", f"{spoil} --visibility-timeout 7 --dead-letter-retention 60"],
        cwd=stack.folder,
        check=True,
        capture_output=True,
    )
    done = doctor(stack, "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert checks["retention"]["status"] == "wrong"
    (note,) = checks["visibility-timeout"]["findings"]
    assert "hides a received message for 7 s" in note["found"]
    subprocess.run(
        ["/bin/sh", "-ec", note["cure"]], cwd=stack.folder, check=True, capture_output=True
    )
    again = doctor(stack)
    assert again.returncode == 0, again.stdout


def test_where_nothing_runs_it_says_how_to_start(stack: Stack, tmp_path: Path) -> None:
    done = doctor(stack, "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("start it first: scripts/dev.sh\n")


def test_a_stage_that_nobody_declared_cannot_be_asked(stack: Stack) -> None:
    done = doctor(stack, "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no stage nowhere in .chalice/config.json; there are dev, " in done.stderr


def test_without_a_region_it_cannot_be_asked(stack: Stack) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(stack.folder)}
    done = subprocess.run(
        ["scripts/doctor.sh", "prod"],
        cwd=stack.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("no region is set; give --region")
