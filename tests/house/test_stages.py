"""What differs from stage to stage, filled in where Chalice would take it as it is written."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest
from chalice import constants
from chalice.deploy import appgraph

from chalicelib import chalice_cli
from chalicelib.chalice_cli import stage

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tasks-AbCdEf"


def config(**environ: str) -> Any:
    return types.SimpleNamespace(chalice_stage="prod", environment_variables=environ)


def test_names_are_filled_in_wherever_they_stand() -> None:
    part = {"a": ["${QUEUE_NAME}-dlq", {"${STAGE}": 1}], "b": "${AWS::Region} ${UNKNOWN} ${x}"}
    assert stage.filled(part, {"QUEUE_NAME": "q", "STAGE": "prod"}) == {
        "a": ["q-dlq", {"prod": 1}],
        "b": "${AWS::Region} ${UNKNOWN} ${x}",
    }


def test_nothing_is_granted_on_what_the_stage_does_not_have() -> None:
    statements = [{"Resource": ["${DATABASE_SECRET_ARN}"]}, {"Resource": ["${QUEUE_NAME}"]}]
    names = stage.names(config())
    assert stage.granted(statements, names) == [{"Resource": ["interview-queue"]}]
    names = stage.names(config(DATABASE_SECRET_ARN=ARN, DATABASE_TLS="rds"))
    assert stage.granted(statements, names)[0] == {"Resource": [ARN]}


@pytest.mark.parametrize(("name", "value"), [("QUEUE_NAME", "mine"), ("BATCH_SIZE", "5")])
def test_what_only_the_shell_sets_is_not_deployed_half(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The mapping would follow the shell, the functions the configuration."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=rf"{name} is set in this shell, but not for .* prod"):
        stage.names(config())
    assert stage.names(config(**{name: value}))["STAGE"] == "prod"


def test_a_stage_whose_settings_are_out_of_bounds_is_not_deployed() -> None:
    with pytest.raises(SystemExit, match=r"Stage prod: .*\n.*LOG_LEVEL"):
        stage.names(config(LOG_LEVEL="LOUD"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("AUTH", "off"), ("DATABASE_URL", "postgresql://a:b@db/x"), ("DATABASE_SECRET_ARN", ARN)],
)
def test_what_is_unsafe_in_lambda_is_not_even_packaged(name: str, value: str) -> None:
    with pytest.raises(SystemExit, match="Stage prod: Not safe in Lambda"):
        stage.names(config(**{name: value}))


def test_a_function_is_told_its_stage_whatever_the_stage_was_copied_from() -> None:
    class Config:
        chalice_stage = "staging"
        environment_variables = property(lambda _: {"METRICS_STAGE": "prod", "QUEUE_NAME": "q"})

    stage.mend_environment(types.SimpleNamespace(Config=Config))
    assert Config().environment_variables == {"METRICS_STAGE": "staging", "QUEUE_NAME": "q"}


@pytest.fixture
def policy_of() -> Callable[..., list[Any]]:
    """Reads a policy of one statement as a mended Chalice does."""

    def read(subnets: list[str] | None) -> list[Any]:
        class PolicyGenerator:
            def handle_filebasediampolicy(self, _: Any, resource: Any) -> None:
                resource.document = {"Statement": [{"Resource": "${STAGE}"}]}

        deployer = types.SimpleNamespace(
            PolicyGenerator=PolicyGenerator, VPC_ATTACH_POLICY=constants.VPC_ATTACH_POLICY
        )
        stage.mend_policies(deployer)
        resource, asked = types.SimpleNamespace(), config()
        asked.subnet_ids = subnets
        PolicyGenerator().handle_filebasediampolicy(asked, resource)
        return list(resource.document["Statement"])

    return read


def test_a_function_in_a_vpc_may_make_its_network_interface_and_another_may_not(
    policy_of: Callable[..., list[Any]],
) -> None:
    assert policy_of(None) == [{"Resource": "prod"}]
    assert policy_of(["subnet-1"]) == [{"Resource": "prod"}, constants.VPC_ATTACH_POLICY]


def test_a_direct_deploy_keeps_the_log_of_the_apis_function_by_its_name() -> None:
    chalice_cli.mend()
    builder = appgraph.ApplicationGraphBuilder()
    keeps: Any = types.SimpleNamespace(log_retention_in_days=30)
    names = [
        builder._create_log_group(keeps, "x", f"/aws/lambda/tasks-prod-{name}").log_group_name
        for name in ("api_handler", "worker")
    ]
    assert names == ["/aws/lambda/tasks-prod", "/aws/lambda/tasks-prod-worker"]
