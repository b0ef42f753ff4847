"""A deployed stage in moto's AWS, its database, and the doctor who looks at it."""

from __future__ import annotations

import ast
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

import app as front_door
from chalicelib.errors import ServiceError
from localdev.doctor import command
from localdev.doctor.declared import Declared
from tests.fakes import FakeContext
from tests.template.conftest import CONFIGURED, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from chalicelib.runtime import Runtime
    from tests.template.conftest import Aws
    from tests.world import Table

STAGE, QUEUE = "test", "interview-queue-test"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:ops"
SECRET = CONFIGURED[STAGE]["environment_variables"]["DATABASE_SECRET_ARN"]
RESERVED = 50


def refusing(operation: str) -> ClientError:
    told = {"Error": {"Code": "AccessDeniedException", "Message": f"not authorized: {operation}"}}
    return ClientError(told, operation)  # type: ignore[arg-type]  # as botocore makes them


@dataclass
class Lacking:
    """What moto has no answer for."""

    unreserved: int = 900
    recursion: str = "Terminate"
    #: Whether SimulatePrincipalPolicy may be asked, and what it denies.
    simulates: bool = False
    denies: set[str] = field(default_factory=set)
    #: Calls that AWS refuses to whoever asks.
    refuses: set[str] = field(default_factory=set)
    admin: Callable[[Any], Any] = lambda event: front_door.admin(event, FakeContext())


class Client:
    """A client of moto's that refuses what it is told to, and has what moto lacks."""

    def __init__(self, real: Any, lacking: Lacking) -> None:
        self._real = real
        self._lacking = lacking

    def __getattr__(self, name: str) -> Any:
        if name in self._lacking.refuses:
            raise_it = refusing(name)

            def refused(*_: Any, **__: Any) -> Any:
                raise raise_it

            return refused
        return getattr(self._real, name)

    def get_paginator(self, name: str) -> Any:
        if name == "simulate_principal_policy":
            return Simulator(self._lacking)
        if name in self._lacking.refuses:
            return Refusing(name)
        return self._real.get_paginator(name)

    def get_account_settings(self) -> Any:
        limit = {"UnreservedConcurrentExecutions": self._lacking.unreserved}
        return self._told("get_account_settings", {"AccountLimit": limit})

    def get_function_recursion_config(self, FunctionName: str) -> Any:  # noqa: N803  (AWS's)
        assert FunctionName == "tasks-test-worker"
        told = {"RecursiveLoop": self._lacking.recursion}
        return self._told("get_function_recursion_config", told)

    def invoke(self, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        assert FunctionName == "tasks-test-admin"
        self._told("invoke", None)
        failed: dict[str, str] = {}
        try:
            told = self._lacking.admin(json.loads(Payload))
        except ServiceError as error:
            failed = {"FunctionError": "Unhandled"}
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return {"Payload": io.BytesIO(json.dumps(told).encode()), **failed}

    def _told(self, operation: str, answer: Any) -> Any:
        if operation in self._lacking.refuses:
            raise refusing(operation)
        return answer


class Refusing:
    """A paginator whose first page is refused."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def paginate(self, **_: Any) -> Iterator[Any]:
        raise refusing(self._operation)
        yield


class Simulator:
    """Answers as the paginator of SimulatePrincipalPolicy."""

    def __init__(self, lacking: Lacking) -> None:
        self._lacking = lacking

    def paginate(self, **asked: Any) -> Iterator[Any]:
        if not self._lacking.simulates:
            raise refusing("SimulatePrincipalPolicy")
        yield {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "implicitDeny" if action in self._lacking.denies else "allowed",
                }
                for action in asked["ActionNames"]
                for resource in asked["ResourceArns"]
            ]
        }


@dataclass
class Patient:
    """A deployed stage, its database, and the doctor's answer."""

    aws: Aws
    lacking: Lacking
    table: Table
    made: Runtime
    app: Path
    capfd: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    ready: str = ""

    def ask(self, *arguments: str) -> tuple[int, str, str]:
        status = command.main([STAGE, "--region", REGION, *arguments])
        said = self.capfd.readouterr()
        return status, said.out, said.err

    def examined(self) -> tuple[int, dict[str, Any]]:
        """Return the exit status and each check's part of the document."""
        status, out, _ = self.ask("--json")
        return status, {check["name"]: check for check in json.loads(out)["checks"]}

    def attribute(self, queue: str, **attributes: str) -> None:
        sqs = self.aws.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    def mapping(self, **changes: Any) -> None:
        functions = self.aws.client("lambda")
        (found,) = functions.list_event_source_mappings()["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=found["UUID"], **changes)

    def configure(self, short: str, **changes: Any) -> None:
        name = f"tasks-{STAGE}{short}"
        self.aws.client("lambda").update_function_configuration(FunctionName=name, **changes)

    def tell(self, short: str, **environ: str) -> None:
        functions = self.aws.client("lambda")
        name = f"tasks-{STAGE}{short}"
        had = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        kept = {key: value for key, value in (had | environ).items() if value}
        self.configure(short, Environment={"Variables": kept})

    def alarm(self, name: str, **changes: Any) -> None:
        self.aws.client("cloudwatch").put_metric_alarm(
            **{
                "AlarmName": f"tasks-{STAGE}-{name}",
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 0,
                "Period": 60,
                "EvaluationPeriods": 1,
                "Statistic": "Maximum",
                "AlarmActions": [TOPIC],
                **changes,
            }
        )

    def state(self, name: str, state: str) -> None:
        self.aws.client("cloudwatch").set_alarm_state(
            AlarmName=f"tasks-{STAGE}-{name}", StateValue=state, StateReason="because"
        )

    def policy(self, function: str) -> tuple[str, str, Any]:
        """Return role, name and document of a function's policy."""
        found = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        role, iam = found["Role"].rpartition("/")[2], self.aws.client("iam")
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        told = iam.get_role_policy(RoleName=role, PolicyName=name)
        return role, name, told["PolicyDocument"]

    def grant(self, role: str, policy: str, document: Any) -> None:
        self.aws.client("iam").put_role_policy(
            RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document)
        )

    def server(self, **told: Any) -> None:
        """Let the database say something else of itself."""
        read = self.made.health.read_server
        self.monkeypatch.setattr(self.made.health, "read_server", lambda: read() | told)


def make_well(one: Patient) -> None:
    secrets: Any = boto3.client("secretsmanager", region_name="eu-west-1")
    arn = secrets.create_secret(Name="tasks", SecretString="{}")["ARN"]  # it ends as moto likes
    functions: Any = one.aws.client("lambda")
    declared = Declared(STAGE, REGION, one.app / ".chalice")
    for name in declared.functions.values():
        role, policy, document = one.policy(name)
        # From a template moto keeps it in Python's writing.
        granted = json.dumps(ast.literal_eval(document)).replace(SECRET, arn)
        one.grant(role, policy, json.loads(granted))
        one.tell(name.removeprefix(f"tasks-{STAGE}"), DATABASE_SECRET_ARN=arn)
    functions.put_function_concurrency(
        FunctionName=f"tasks-{STAGE}", ReservedConcurrentExecutions=RESERVED
    )
    for name in declared.alarms:
        one.alarm(name.removeprefix(f"tasks-{STAGE}-"))
        one.state(name.removeprefix(f"tasks-{STAGE}-"), "OK")
    invoked = {
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "FunctionName", "Value": f"tasks-{STAGE}-sweeper"}],
        "Value": 9,
    }
    one.aws.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[invoked])
