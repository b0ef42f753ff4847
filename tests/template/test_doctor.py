"""scripts/doctor.sh on a stage in moto's AWS: well, and with each fault planted.

What moto lacks is stood in for at the client, in AWS's own shapes: Invoke (which would need
Docker; the stand-in runs the app's function admin in this process, on a real PostgreSQL),
GetAccountSettings, GetFunctionRecursionConfig and SimulatePrincipalPolicy. moto's CloudFormation
makes no alarms, so they are put by CloudWatch's own call. The URL of the API leads nowhere, so
/readyz is told here; that it is asked rightly is in tests/unit/test_doctor.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chalicelib import runtime
from chalicelib.errors import InvalidRequest
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from localdev import seed
from localdev.aws import account as accounts
from localdev.deploy.stack import Stack
from localdev.doctor import asking, command, lambdas, roles, surroundings
from localdev.doctor.checks import CHECKS
from localdev.doctor.declared import Declared
from localdev.doctor.finding import Unknown
from localdev.errors import StackError
from tests.fakes import FakeQueue
from tests.template.conftest import REGION, configured
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
    assert (status, ills(checks, "wrong")) == ((1, [name]) if grade == "wrong" else (0, []))


def ills(checks: dict[str, Any], grade: str) -> list[str]:
    """Return the checks of a grade."""
    return [name for name, check in checks.items() if check["status"] == grade]


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {fault[0] for fault in FAULTS.values()} == {check.name for check in CHECKS}


#: What AWS refuses to whoever asks, the check that needs it, and the permission that is named.
REFUSED = {
    "get_function_configuration": ("functions", "lambda:GetFunctionConfiguration"),
    "list_event_source_mappings": ("mapping", "lambda:ListEventSourceMappings"),
    "get_account_settings": ("concurrency", "lambda:GetAccountSettings"),
    "get_function_concurrency": ("connections", "lambda:GetFunctionConcurrency"),
    "get_function_recursion_config": ("recursion", "lambda:GetFunctionRecursionConfig"),
    "invoke": ("database", "lambda:InvokeFunction"),
    "get_queue_url": ("queues", "sqs:GetQueueUrl"),
    "get_queue_attributes": ("visibility-timeout", "sqs:GetQueueAttributes"),
    "get_role_policy": ("permissions", "iam:GetRolePolicy"),
    "describe_secret": ("secret", "secretsmanager:DescribeSecret"),
    "get_rest_api": ("api-endpoint", "apigateway:GET"),
    "list_rule_names_by_target": ("sweeper", "events:ListRuleNamesByTarget"),
    "get_metric_statistics": ("sweeper", "cloudwatch:GetMetricStatistics"),
    "describe_alarms": ("alarms", "cloudwatch:DescribeAlarms"),
    "describe_log_groups": ("log-retention", "logs:DescribeLogGroups"),
}


def test_what_an_operator_may_not_ask_is_not_checked(patient: Patient) -> None:
    for operation, (name, permission) in REFUSED.items():
        patient.lacking.refuses = {operation}
        status, checks = patient.examined()
        assert checks[name]["status"] == "not checked", operation
        note = next(one for one in checks[name]["findings"] if one["status"] == "not checked")
        assert "you lack the permission " in note["found"]
        assert permission in note["found"]
        assert {check["status"] for check in checks.values()} == {"ok", "not checked"}, operation
        assert status == 0


def test_an_operator_who_may_ask_for_nothing_is_told_so(patient: Patient) -> None:
    patient.lacking.refuses = {*REFUSED, "list_role_policies"}
    patient.monkeypatch.setattr(Stack, "outputs", refused_outputs)
    patient.monkeypatch.setattr(surroundings, "readiness", lambda _: pytest.fail("asked"))
    status, out, _ = patient.ask()
    assert out.splitlines()[-1] == f"{len(CHECKS)} not checked"
    assert "AWS refused to describe the stack" in out
    assert status == 2


def refused_outputs(_: Stack) -> dict[str, str]:
    raise StackError("AWS refused to describe the stack tasks-test: AccessDenied: no")


def test_an_account_limit_that_may_not_be_seen_matters_only_if_nothing_is_reserved(
    patient: Patient,
) -> None:
    patient.lacking.refuses = {"get_account_settings"}
    assert patient.examined()[1]["connections"]["status"] == "ok"
    FAULTS["an API without a limit"][2](patient)
    (note,) = patient.examined()[1]["connections"]["findings"]
    assert note["found"] == "you lack the permission lambda:GetAccountSettings"


def test_deployed_code_that_does_not_know_the_question_is_not_taken_for_a_fault(
    patient: Patient,
) -> None:
    def older(event: object) -> None:
        raise InvalidRequest(f"action has to be create, list or revoke: {event}")

    patient.lacking.admin = older
    _, checks = patient.examined()
    assert "older than this" in checks["schema"]["findings"][0]["found"]
    assert checks["database"]["status"] == "not checked"


def test_the_text_has_a_line_for_each_check_and_explains_what_is_not_well(
    patient: Patient,
) -> None:
    FAULTS["a queue that hides too briefly"][2](patient)
    status, out, err = patient.ask()
    place, _, *lines = out.splitlines()
    assert place == f"stage {STAGE} in us-east-1, account 123456789012"
    rows = [line for line in lines[: len(CHECKS)] if line.startswith("ok  ")]
    assert len(rows) == len(CHECKS) - 1
    explained = lines[len(CHECKS) + 1 : -2]
    assert explained[0].startswith("visibility-timeout: ")
    assert explained[1].startswith(f"  wrong: interview-queue-{STAGE} hides")
    assert explained[2].startswith("  cure: .venv/bin/python -m localdev seed --aws ")
    assert explained[3].startswith("  why:  A message that shows itself again")
    assert lines[-1] == f"{len(CHECKS) - 1} ok, 1 wrong"
    assert status == 1
    assert not [line for line in err.splitlines() if not line.startswith("asking ")]


def test_the_cure_of_a_queue_cures_it(patient: Patient) -> None:
    FAULTS["a queue that hides too briefly"][2](patient)
    FAULTS["another retention"][2](patient)
    _, checks = patient.examined()
    (note,) = checks["visibility-timeout"]["findings"]
    program, module, name, command_name, *arguments = note["cure"].split()
    assert [program, module, name, command_name] == [".venv/bin/python", "-m", "localdev", "seed"]
    assert seed.main(arguments) == 0
    patient.capfd.readouterr()
    assert patient.examined()[0] == 0


def test_what_takes_long_is_said_to_be_asked(patient: Patient) -> None:
    patient.monkeypatch.setattr(asking, "QUIET", 0)
    _, out, err = patient.ask("--json")
    assert "asking IAM for the roles …" in err.splitlines()
    json.loads(out)


def test_a_stage_that_chalice_deployed_alone_is_found_by_what_it_noted(patient: Patient) -> None:
    (api,) = patient.aws.client("apigateway").get_rest_apis()["items"]
    patient.aws.client("cloudformation").delete_stack(StackName=f"tasks-{STAGE}")
    kept = patient.aws.client("apigateway").create_rest_api(
        name="tasks", endpointConfiguration={"types": ["REGIONAL"]}
    )
    noted = patient.app / ".chalice" / "deployed" / f"{STAGE}.json"
    around = surroundings.Surroundings(
        accounts.connect(REGION), Declared(STAGE, REGION, patient.app / ".chalice")
    )
    assert isinstance(around.api()[0], Unknown)
    url = f"https://{kept['id']}.execute-api.us-east-1.amazonaws.com/api"
    entry = {"resource_type": "rest_api", "rest_api_id": kept["id"], "rest_api_url": url}
    noted.parent.mkdir()
    noted.write_text(json.dumps({"resources": [{"resource_type": "iam_role"}, entry]}))
    assert around.api() == (["REGIONAL"], "")
    assert api["id"] != kept["id"]


def test_a_stage_that_is_not_there_cannot_be_asked(patient: Patient) -> None:
    status, out, err = patient.ask("--region", "eu-west-1")
    assert (status, out) == (2, "")
    assert "stage test is not deployed in eu-west-1; deploy it: scripts/deploy.sh test" in err
