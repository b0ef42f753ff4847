"""What differs from stage to stage, filled in where Chalice would take it as it is written."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from chalice import constants
from chalice.deploy import appgraph

from chalicelib import chalice_cli
from chalicelib.chalice_cli import options, stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tasks-AbCdEf"


def config(**environ: str) -> Any:
    return types.SimpleNamespace(
        chalice_stage="prod",
        environment_variables=environ,
        subnet_ids=[],
        config_from_disk={"app_name": "tasks", "stages": {"prod": {}}},
    )


def with_options(told: Any, **chosen: Any) -> Any:
    told.config_from_disk["stages"]["prod"] = chosen
    return told


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


AT = {"DATABASE_URL": "postgresql://app@db.example.com/x", "DATABASE_TLS": "rds"}
BY_TOKEN = {**AT, "DATABASE_AUTH": "iam"}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DATABASE_URL": "postgresql://db/x"}, "DATABASE_URL: .* needs the user and the host"),
        ({"DATABASE_URL": "postgresql://a@127.0.0.1/x"}, "DATABASE_URL: .* needs the user"),
        ({"DATABASE_URL": "postgresql://a@b:1,c:2/x"}, "DATABASE_URL: .* one of each"),
        ({"DATABASE_URL": "postgresql://a:b@db/x"}, "DATABASE_URL: .* sees the password"),
        ({"DATABASE_TLS": ""}, "DATABASE_TLS: not set"),
        ({"DATABASE_SECRET_ARN": ARN}, "DATABASE_SECRET_ARN: .* no secret is read"),
    ],
)
def test_a_token_is_only_shown_to_one_known_server(environ: dict[str, str], message: str) -> None:
    chosen = {"database_resource_id": "cluster-ABC123"}
    assert stage.names(with_options(config(**BY_TOKEN), **chosen))
    with pytest.raises(SystemExit, match=message):
        stage.names(with_options(config(**{**BY_TOKEN, **environ}), **chosen))


def test_the_right_to_show_a_token_is_for_one_user_of_one_database() -> None:
    statements = [{"Resource": ["${DATABASE_USER_ARN}"]}]
    by_password = stage.names(config(**AT))
    assert stage.granted(statements, by_password) == []
    by_token = stage.names(with_options(config(**BY_TOKEN), database_resource_id="db-ABC"))
    (statement,) = stage.granted(statements, by_token)
    assert statement == {"Resource": ["arn:*:rds-db:*:*:dbuser:db-ABC/app"]}
    with pytest.raises(SystemExit, match="needs the stage's database_resource_id"):
        stage.names(config(**BY_TOKEN))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"database": "mysql"}, r"Stage prod, in config\.json:\ndatabase: .*'aurora'"),
        ({"database_resource_id": "*"}, "database_resource_id: "),
        ({"pollers": {"maximum": 1}}, r"pollers\.maximum: .* 2"),
        ({"pollers": {"minimum": 1, "maximum": 2}}, r"pollers\.minimum: .* 2"),
        ({"pollers": {"minimum": 9, "maximum": 8}}, "pollers: .*minimum is greater"),
        ({"pollers": {"maximum": 8, "max": 9}}, r"pollers\.max: "),
        ({"snapstart": "maybe"}, "snapstart: "),
    ],
)
def test_an_option_out_of_bounds_is_named(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        stage.names(with_options(config(), **chosen))


def test_a_database_of_its_own_and_one_that_is_there_exclude_each_other() -> None:
    aurora = {"database": "aurora"}
    assert "DATABASE_SECRET_ARN" in stage.names(with_options(config(), **aurora))
    for name, value in AT.items():
        with pytest.raises(SystemExit, match="database aurora sets DATABASE_URL"):
            stage.names(with_options(config(**{name: value}), **aurora))
    told = with_options(config(), **aurora)
    told.subnet_ids = ["subnet-1"]
    with pytest.raises(SystemExit, match="database aurora brings a network"):
        stage.names(told)


@pytest.mark.parametrize("version", [(3, 11), (3, 12)])
def test_snapshots_are_refused_where_lambda_has_none(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    told = with_options(config(), snapstart=True)
    if version >= (3, 12):
        assert stage.names(told)
        return
    with pytest.raises(SystemExit, match=r"snapstart needs Python 3\.12"):
        stage.names(told)


@pytest.mark.parametrize(
    "chosen", [{"database": "aurora"}, {"snapstart": True}, {"pollers": {"maximum": 2}}]
)
def test_a_direct_deploy_does_not_leave_options_out(chosen: dict[str, Any]) -> None:
    class Deployer:
        def deploy(self, _: Any, name: str) -> str:
            return f"deployed {name}"

    options.mend_deploy(types.SimpleNamespace(Deployer=Deployer))
    plain = with_options(config(), database_resource_id="db-ABC")
    assert Deployer().deploy(plain, "prod") == "deployed prod"
    with pytest.raises(SystemExit, match=r"Stage prod .* scripts/deploy\.sh"):
        Deployer().deploy(with_options(config(), **chosen), "prod")


@pytest.fixture
def policy_of() -> Callable[..., list[Any]]:
    """Reads a policy of one statement as a mended Chalice does."""

    def read(subnets: list[str] | None, **chosen: Any) -> list[Any]:
        class PolicyGenerator:
            def handle_filebasediampolicy(self, _: Any, resource: Any) -> None:
                resource.document = {"Statement": [{"Resource": "${STAGE}"}]}

        deployer = types.SimpleNamespace(
            PolicyGenerator=PolicyGenerator, VPC_ATTACH_POLICY=constants.VPC_ATTACH_POLICY
        )
        stage.mend_policies(deployer)
        resource, asked = types.SimpleNamespace(), with_options(config(), **chosen)
        asked.subnet_ids = subnets
        PolicyGenerator().handle_filebasediampolicy(asked, resource)
        return list(resource.document["Statement"])

    return read


def test_a_function_in_a_vpc_may_make_its_network_interface_and_another_may_not(
    policy_of: Callable[..., list[Any]],
) -> None:
    assert policy_of(None) == [{"Resource": "prod"}]
    in_ours = policy_of(None, database="aurora")
    assert in_ours == [{"Resource": "prod"}, constants.VPC_ATTACH_POLICY]
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


def test_a_stage_that_is_traced_with_opentelemetry_has_its_packages(tmp_path: Path) -> None:
    traced = config(TRACING="otel")
    traced.project_dir = str(tmp_path)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("pydantic\n")
    with pytest.raises(SystemExit, match=r"Stage prod: .*-r requirements-otel\.txt"):
        stage.names(traced)
    requirements.write_text("pydantic\n-r requirements-otel.txt\n")
    assert stage.names(traced)["STAGE"] == "prod"
