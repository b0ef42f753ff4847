"""What differs from stage to stage, filled in where Chalice would take it as it is written."""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from chalice import constants
from chalice.config import Config
from chalice.deploy import appgraph

from chalicelib import chalice_cli
from chalicelib.chalice_cli import capacity as sizes
from chalicelib.chalice_cli import options, priority, refusals, stage
from chalicelib.settings import Settings
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tasks-AbCdEf"


AT = {"DATABASE_URL": "postgresql://app@db.example.com/x", "DATABASE_TLS": "rds"}
BY_TOKEN = {**AT, "DATABASE_AUTH": "iam"}


def config(**environ: str) -> Config:
    """Return a configuration whose stage prod has these variables, and AT if not another's."""
    known = {} if {"DATABASE_URL", "DATABASE_SECRET_ARN"} & environ.keys() else AT
    stage = {"environment_variables": {**known, **environ}}
    return Config("prod", config_from_disk={"app_name": "tasks", "stages": {"prod": stage}})


def bare(**chosen: Any) -> Config:
    """Return a configuration whose stage prod has this and nothing else."""
    return Config("prod", config_from_disk={"app_name": "tasks", "stages": {"prod": chosen}})


def with_options(told: Config, **chosen: Any) -> Config:
    told.config_from_disk["stages"]["prod"] |= chosen
    return told


def test_names_are_filled_in_wherever_they_stand() -> None:
    part = {"a": ["${QUEUE_NAME}-dlq", {"${STAGE}": 1}], "b": "${AWS::Region} ${UNKNOWN} ${x}"}
    assert stage.filled(part, {"QUEUE_NAME": "q", "STAGE": "prod"}) == {
        "a": ["q-dlq", {"prod": 1}],
        "b": "${AWS::Region} ${UNKNOWN} ${x}",
    }


def test_the_queue_is_made_as_the_settings_of_the_stage_say() -> None:
    queue = {
        "VisibilityTimeout": "${VISIBILITY_TIMEOUT}",
        "maxReceiveCount": "${MAX_RECEIVE_COUNT}",
    }
    assert stage.filled(queue, stage.names(config())) == {
        "VisibilityTimeout": 360,
        "maxReceiveCount": 3,
    }
    told = config(WORKER_TIMEOUT="300", MAX_RECEIVE_COUNT="5")
    functions = {"worker": {"lambda_timeout": 300}}
    names = stage.names(with_options(told, lambda_functions=functions))
    assert stage.filled(queue, names) == {"VisibilityTimeout": 1800, "maxReceiveCount": 5}


@pytest.mark.parametrize(
    ("limit", "environ"), [({}, {"WORKER_TIMEOUT": "300"}), ({"lambda_timeout": 300}, {})]
)
def test_lambda_ends_the_worker_when_its_leases_say_so(
    limit: dict[str, int], environ: dict[str, str]
) -> None:
    told = with_options(config(**environ), lambda_functions={"worker": limit})
    with pytest.raises(SystemExit, match=r"WORKER_TIMEOUT is \d+, and the worker's lambda_timeout"):
        stage.names(told)


@pytest.mark.parametrize(
    ("place", "chosen", "message"),
    [
        ("/tmp/files", {}, "FILES is a folder"),  # noqa: S108  (nothing is written there)
        ("s3://ours", {"database": "aurora"}, "FILES cannot be reached"),
    ],
)
def test_files_that_no_worker_would_reach_are_refused(
    place: str, chosen: dict[str, Any], message: str
) -> None:
    told = with_options(bare(environment_variables={"FILES": place, **({} if chosen else AT)}))
    with pytest.raises(SystemExit, match=message):
        stage.names(with_options(told, **chosen))


def test_only_a_stage_with_files_in_s3_has_a_right_to_any() -> None:
    assert "FILES_ARN" not in stage.names(config())
    for place in ("s3://ours/tasks", "s3://ours/tasks/"):
        assert stage.names(config(FILES=place))["FILES_ARN"] == "arn:*:s3:::ours/tasks/*"


def test_a_stage_without_a_database_is_packaged_for_a_laptop_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SystemExit, match=r"Stage prod: it has no database; .*DATABASE_SECRET_ARN"):
        stage.names(bare())
    monkeypatch.setenv(refusals.FOR_A_LAPTOP, "1")
    assert stage.names(bare())["STAGE"] == "prod"


@pytest.mark.parametrize(
    ("misspelt", "message"),
    [
        ({"snapStart": True}, r"no option snapStart; did you mean snapstart\?"),
        ({"lambda_functions": {"worker": {"reserved_concurency": 1}}}, "reserved_concurrency"),
        ({"zzz": 1}, r"no option zzz\.$"),
    ],
)
def test_a_misspelt_option_is_named(misspelt: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        stage.names(with_options(config(), **misspelt))


def test_a_misspelt_option_of_all_stages_is_named() -> None:
    told = config()
    told.config_from_disk["lambda_architecure"] = "arm64"
    with pytest.raises(SystemExit, match="did you mean lambda_architecture"):
        stage.names(told)


def test_every_option_that_chalice_reads_is_known() -> None:
    read = re.findall(r"_chain_(?:lookup|merge)\(\s*'(\w+)'", inspect.getsource(Config))
    of_the_command = {"profile", "app_name", "project_dir", "chalice_app"}
    assert len(read) > 20
    assert set(read) - of_the_command <= refusals.KNOWN


@pytest.mark.parametrize("where", ["stage", "function"])
def test_what_lambda_sets_itself_is_not_told(where: str) -> None:
    environ = {"AWS_REGION": "eu-west-1"}
    told = config(**environ) if where == "stage" else config()
    if where == "function":
        functions = {"worker": {"environment_variables": environ}}
        told = with_options(told, lambda_functions=functions)
    with pytest.raises(SystemExit, match="Lambda sets AWS_REGION itself"):
        stage.names(told)


def test_the_arn_of_a_secret_is_whole_or_the_stage_is_refused() -> None:
    partial = ARN.removesuffix("-AbCdEf")
    with pytest.raises(SystemExit, match=r"DATABASE_SECRET_ARN: is not the whole ARN, .* six"):
        stage.names(config(DATABASE_SECRET_ARN=partial, DATABASE_TLS="rds"))


@pytest.mark.parametrize(
    ("most", "capacity"),
    [(189, (0.5, 1)), (823, (0.5, 4)), (3360, (1, 16)), (5000, (1, 24))],
)
def test_a_capacity_has_room_for_the_connections_that_it_is_made_for(
    most: int, capacity: tuple[float, float]
) -> None:
    """At 1 and at 16 ACU the figures are AWS's, the others are in proportion."""
    assert sizes.least(most - 3) == capacity


def test_one_connection_more_needs_more_capacity_and_there_is_an_end_to_it() -> None:
    assert sizes.least(187) == (0.5, 1.5)
    assert sizes.least(1997) == (0.5, 10)
    assert sizes.least(1998) == (1, 10)
    assert sizes.least(4998) is None


@pytest.mark.parametrize(
    ("reserved", "chosen", "told"),
    [
        ({}, {}, (13, ["api_handler"])),
        ({"api_handler": 50}, {}, (63, [])),
        ({"api_handler": 50, "worker": 4}, {}, (57, [])),
        ({"api_handler": 50}, {"pollers": {"maximum": 20}}, (53, ["worker"])),
        ({"worker": 40}, {"pollers": {"maximum": 20}}, (43, ["api_handler"])),
    ],
)
def test_a_stage_opens_as_many_connections_as_run_at_once(
    reserved: dict[str, int], chosen: dict[str, Any], told: tuple[int, list[str]]
) -> None:
    functions = {name: {"reserved_concurrency": most} for name, most in reserved.items()}
    asked = with_options(config(), lambda_functions=functions, **chosen)
    assert sizes.connections(asked, options.read(asked), Settings()) == told


def test_a_second_worker_opens_as_many_as_the_first() -> None:
    high = config(PRIORITY_QUEUE="on")
    told = Settings(priority_queue="on")
    assert sizes.connections(high, options.read(high), told) == (23, ["api_handler"])


def test_only_a_stage_with_a_second_queue_has_a_right_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statements = [{"Resource": ["${HIGH_QUEUE_NAME}"]}, {"Resource": ["${HIGH_WORKER}"]}]
    assert stage.granted(statements, stage.names(config())) == []
    monkeypatch.setenv("PRIORITY_QUEUE", "on")  # as Chalice has it when it imports the app
    assert stage.granted(statements, stage.names(config(PRIORITY_QUEUE="on"))) == [
        {"Resource": ["interview-queue-high"]},
        {"Resource": ["worker_high"]},
    ]


def test_the_second_worker_is_configured_as_the_first() -> None:
    class Mended(Config):
        pass

    priority.mend_config(types.SimpleNamespace(Config=Mended))
    functions = {"worker": {"lambda_timeout": 77}, "sweeper": {"lambda_timeout": 5}}
    stages = {"prod": {"lambda_functions": functions}}
    told = Mended("prod", config_from_disk={"app_name": "tasks", "stages": stages})
    limits = [told.scope("prod", name).lambda_timeout for name in ("worker", "worker_high")]
    assert (limits, told.scope("prod", "sweeper").lambda_timeout) == ([77, 77], 5)


def test_a_database_is_made_no_smaller_than_the_stage_needs() -> None:
    file = ROOT / "chalice_app" / ".chalice" / "aurora.json"
    parameters = json.loads(file.read_text(encoding="utf-8"))["Parameters"]
    before = json.loads(json.dumps(parameters))
    sizes.fit(parameters, 13, ["api_handler"])
    told = parameters["AuroraMaxCapacity"].pop("Description")
    assert told.endswith("The stage may open 13, and those of api_handler besides.")
    del before["AuroraMaxCapacity"]["Description"]
    assert parameters == before
    parameters["AuroraMaxCapacity"]["Description"] = ""
    sizes.fit(parameters, 2500, [])
    largest = parameters["AuroraMaxCapacity"]
    assert largest["MinValue"] == largest["Default"] == 12
    assert parameters["AuroraMinCapacity"]["MinValue"] == 1


def test_more_connections_than_any_database_takes_are_refused() -> None:
    functions = {"api_handler": {"reserved_concurrency": 5000}}
    with pytest.raises(SystemExit, match="may open 5013 connections, and Aurora takes 5000"):
        stage.names(bare(database="aurora", lambda_functions=functions))


def test_nothing_is_granted_on_what_the_stage_does_not_have() -> None:
    statements = [{"Resource": ["${DATABASE_SECRET_ARN}"]}, {"Resource": ["${QUEUE_NAME}"]}]
    names = stage.names(config())
    assert stage.granted(statements, names) == [{"Resource": ["interview-queue"]}]
    names = stage.names(config(DATABASE_SECRET_ARN=ARN, DATABASE_TLS="rds"))
    assert stage.granted(statements, names)[0] == {"Resource": [ARN]}


@pytest.mark.parametrize(
    ("name", "value"), [("QUEUE_NAME", "mine"), ("BATCH_SIZE", "5"), ("PRIORITY_QUEUE", "on")]
)
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
    assert "DATABASE_SECRET_ARN" in stage.names(bare(**aurora))
    for name, value in AT.items():
        with pytest.raises(SystemExit, match="database aurora sets DATABASE_URL"):
            stage.names(bare(environment_variables={name: value}, **aurora))
    told = bare(subnet_ids=["subnet-1"], **aurora)
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
        resource = types.SimpleNamespace()
        asked = bare(**chosen) if chosen else config()
        if subnets:
            asked = with_options(asked, subnet_ids=subnets)
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
    told = config(TRACING="otel").config_from_disk
    traced = Config(
        "prod", user_provided_params={"project_dir": str(tmp_path)}, config_from_disk=told
    )
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("pydantic\n")
    with pytest.raises(SystemExit, match=r"Stage prod: .*-r requirements-otel\.txt"):
        stage.names(traced)
    requirements.write_text("pydantic\n-r requirements-otel.txt\n")
    assert stage.names(traced)["STAGE"] == "prod"
