"""scripts/doctor.sh on a stage in moto's AWS: well, and with each fault planted.

What moto lacks is stood in for at the client, in AWS's own shapes: Invoke (which would need
Docker; the stand-in runs the app's function admin in this process, on a real PostgreSQL),
GetAccountSettings, GetFunctionRecursionConfig and SimulatePrincipalPolicy. moto's CloudFormation
makes no alarms, so they are put by CloudWatch's own call. The URL of the API leads nowhere, so
/readyz is told here; that it is asked rightly is in tests/unit/test_doctor.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from chalicelib import runtime
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from localdev.doctor import asking, command, lambdas, roles, surroundings
from localdev.doctor.checks import CHECKS
from tests.fakes import FakeQueue
from tests.template.conftest import configured
from tests.template.faults import FAULTS
from tests.template.patient import STAGE, Client, Lacking, Patient, make_well
from tests.template.test_stack import created
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.template.conftest import Aws, Packaged
    from tests.template.faults import Plant


@pytest.fixture
def patient(
    shared_aws: Aws,
    packages: dict[str, Packaged],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Patient]:
    """A stage that is well."""
    httpx.post(f"{shared_aws.endpoint}/moto-api/reset").raise_for_status()
    for name, value in shared_aws.environ().items():
        monkeypatch.setenv(name, value)
    created(shared_aws, packages[STAGE])
    lacking = Lacking()
    for module in (lambdas, roles, surroundings):
        monkeypatch.setattr(module, "client", lambda *told: Client(asking.client(*told), lacking))
    app = configured(tmp_path)
    monkeypatch.setattr(command, "APP", app)
    settings = Settings(database_url=database_url, database_patience=1)
    made = Runtime(settings, queue=FakeQueue())
    monkeypatch.setattr(runtime, "current", lambda: made)
    one = Patient(shared_aws, lacking, Table(database_url), made, app, capfd, monkeypatch)
    monkeypatch.setattr(surroundings, "readiness", lambda _: one.ready)
    make_well(one)
    yield one
    one.table.close()
    made.database.close()


def test_a_stage_that_is_well_is_told_to_be(patient: Patient) -> None:
    status, checks = patient.examined()
    assert {name: check for name, check in checks.items() if check["status"] != "ok"} == {}
    assert list(checks) == [check.name for check in CHECKS]
    assert status == 0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found_with_its_cure(patient: Patient, fault: Plant) -> None:
    name, grade, plant, found, cure = fault
    plant(patient)
    status, checks = patient.examined()
    assert checks[name]["status"] == grade
    told = [note for note in checks[name]["findings"] if note["status"] == grade]
    assert [note for note in told if found in note["found"] and cure in note["cure"]], told
    assert status == (1 if grade == "wrong" else 0)


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {fault[0] for fault in FAULTS.values()} == {check.name for check in CHECKS}
