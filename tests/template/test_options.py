"""What a stage's options put into its template, and that without them nothing of it is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.test_template import functions_of

if TYPE_CHECKING:
    from tests.template.conftest import Packaged

WITH_AURORA = ("aurora", "every")
WITHOUT_OPTIONS = ("prod", "test", "tokens")


@pytest.fixture(params=WITH_AURORA)
def aurora(request: pytest.FixtureRequest, packages: dict[str, Packaged]) -> Packaged:
    """A stage with a database of its own."""
    return packages[request.param]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def resource(package: Packaged, name: str) -> dict[str, Any]:
    return dict(package.translated["Resources"][name])


@pytest.mark.parametrize("stage", WITHOUT_OPTIONS)
def test_without_options_nothing_of_them_is_in_the_stack(
    packages: dict[str, Packaged], stage: str
) -> None:
    whole = packages[stage].translated
    kinds = {one["Type"] for one in whole["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::RDS", "AWS::EC2"))}
    assert not {"AWS::Lambda::Alias", "AWS::Lambda::Version"} & kinds
    assert not [name for name in whole["Parameters"] if name.startswith("Aurora")]
    assert "SnapStart" not in json.dumps(whole)


def test_the_database_is_not_lost_with_the_stack(aurora: Packaged) -> None:
    cluster = resource(aurora, "TasksDatabase")
    assert cluster["DeletionPolicy"] == cluster["UpdateReplacePolicy"] == "Snapshot"
    assert cluster["Properties"]["DeletionProtection"] is True
    assert cluster["Properties"]["BackupRetentionPeriod"] == 14


def test_the_database_is_encrypted_speaks_tls_and_keeps_its_password_to_itself(
    aurora: Packaged,
) -> None:
    cluster = resource(aurora, "TasksDatabase")["Properties"]
    assert cluster["StorageEncrypted"] is True
    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert cluster["DBClusterParameterGroupName"] == ref("TasksDatabaseParameters")
    parameters = resource(aurora, "TasksDatabaseParameters")["Properties"]
    assert parameters["Parameters"] == {"rds.force_ssl": "1"}
    assert parameters["Family"] == f"{cluster['Engine']}{cluster['EngineVersion']}"
    writer = resource(aurora, "TasksDatabaseWriter")["Properties"]
    assert writer["PubliclyAccessible"] is False
    assert writer["DBClusterIdentifier"] == ref("TasksDatabase")


def test_the_database_grows_as_the_parameters_say_and_never_pauses(aurora: Packaged) -> None:
    cluster = resource(aurora, "TasksDatabase")["Properties"]
    assert cluster["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": ref("AuroraMinCapacity"),
        "MaxCapacity": ref("AuroraMaxCapacity"),
    }
    parameters = aurora.translated["Parameters"]
    # 0 would let it pause, which a sweeper that comes every minute never does.
    assert parameters["AuroraMinCapacity"]["MinValue"] == 0.5
    assert parameters["AuroraMaxCapacity"]["MinValue"] >= 1


def test_the_database_leaves_no_log_that_nobody_ends(aurora: Packaged) -> None:
    """RDS would make the group itself, which keeps for ever and outlives the stack."""
    assert "EnableCloudwatchLogsExports" not in resource(aurora, "TasksDatabase")["Properties"]


def test_the_subnets_are_where_the_parameters_say(aurora: Packaged) -> None:
    for letter, index in (("A", 0), ("B", 1)):
        zone = resource(aurora, f"TasksSubnet{letter}")["Properties"]["AvailabilityZone"]
        assert zone == {"Fn::Select": [ref(f"AuroraZone{letter}"), {"Fn::GetAZs": ""}]}
        assert aurora.translated["Parameters"][f"AuroraZone{letter}"]["Default"] == index


def test_the_database_has_room_for_what_runs_at_once(packages: dict[str, Packaged]) -> None:
    told = packages["aurora"].translated["Parameters"]["AuroraMaxCapacity"]
    assert told["Description"].endswith("The stage may open 13, and those of api_handler besides.")
    assert (told["MinValue"], told["Default"]) == (1, 4)
    told = packages["every"].translated["Parameters"]["AuroraMaxCapacity"]
    assert told["Description"].endswith("The stage may open 1013, and those of worker besides.")
    # 1013 and PostgreSQL's own three, at 189 for the first ACU and 211.4 for each other.
    assert told["MinValue"] == told["Default"] == 5


def test_only_the_functions_reach_the_database_and_the_endpoints(aurora: Packaged) -> None:
    groups = aurora.of_type("AWS::EC2::SecurityGroup")
    assert groups.keys() == {
        "FunctionsSecurityGroup",
        "DatabaseSecurityGroup",
        "EndpointsSecurityGroup",
    }
    assert "SecurityGroupIngress" not in groups["FunctionsSecurityGroup"]
    for name, port in (("DatabaseSecurityGroup", 5432), ("EndpointsSecurityGroup", 443)):
        (rule,) = groups[name]["SecurityGroupIngress"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", port, port)
        assert rule["SourceSecurityGroupId"] == ref("FunctionsSecurityGroup")
        (out,) = groups[name]["SecurityGroupEgress"]
        assert out["CidrIp"] == "127.0.0.1/32"
    reached = groups["FunctionsSecurityGroup"]["SecurityGroupEgress"]
    network = resource(aurora, "TasksNetwork")["Properties"]["CidrBlock"]
    assert {(rule["FromPort"], rule["CidrIp"]) for rule in reached} == {
        (5432, network),
        (443, network),
    }
    database = resource(aurora, "TasksDatabase")["Properties"]
    assert database["VpcSecurityGroupIds"] == [ref("DatabaseSecurityGroup")]


def test_the_network_has_no_way_out_but_to_the_services_that_are_called(aurora: Packaged) -> None:
    kinds = [one["Type"] for one in aurora.translated["Resources"].values()]
    assert "AWS::EC2::InternetGateway" not in kinds
    endpoints = aurora.of_type("AWS::EC2::VPCEndpoint").values()
    services = {one["ServiceName"]["Fn::Sub"].rpartition(".")[2] for one in endpoints}
    # A token is signed without asking anybody.
    assert services == ({"sqs", "secretsmanager"} if aurora.stage == "aurora" else {"sqs"})
    for one in endpoints:
        assert one["PrivateDnsEnabled"] is True
        assert one["SecurityGroupIds"] == [ref("EndpointsSecurityGroup")]


def test_every_function_is_in_the_network_and_is_told_of_the_database(aurora: Packaged) -> None:
    functions = aurora.of_type("AWS::Lambda::Function")
    assert functions.keys() == functions_of(aurora).keys()
    for function in functions.values():
        assert function["VpcConfig"] == {
            "SubnetIds": [ref("TasksSubnetA"), ref("TasksSubnetB")],
            "SecurityGroupIds": [ref("FunctionsSecurityGroup")],
        }
        told = function["Environment"]["Variables"]
        assert told["DATABASE_TLS"] == "rds"
        # The secret's user and the one of a token are the same, so their tables are.
        user = resource(aurora, "TasksDatabase")["Properties"]["MasterUsername"]
        assert told["DATABASE_URL"]["Fn::Sub"].startswith(
            f"postgresql://{user}@${{TasksDatabase.Endpoint.Address}}:"
        )
        secret = {"Fn::GetAtt": ["TasksDatabase", "MasterUserSecret.SecretArn"]}
        if aurora.stage == "aurora":
            assert told["DATABASE_SECRET_ARN"] == secret
        else:
            assert told["DATABASE_AUTH"] == "iam"
            assert "DATABASE_SECRET_ARN" not in told


def test_restored_functions_are_called_by_their_alias(packages: dict[str, Packaged]) -> None:
    package = packages["every"]
    snapped = {
        name: one["SnapStart"]
        for name, one in package.of_type("AWS::Lambda::Function").items()
        if "SnapStart" in one
    }
    published = {"ApplyOn": "PublishedVersions"}
    assert snapped == dict.fromkeys(["APIHandler", "Worker", "WorkerHigh"], published)
    # Only published versions are snapshots, so nobody may call the function itself.
    mappings = package.of_type("AWS::Lambda::EventSourceMapping").values()
    aliases = [ref("WorkerAliaslive"), ref("WorkerHighAliaslive")]
    assert sorted(one["FunctionName"]["Ref"] for one in mappings) == [one["Ref"] for one in aliases]
    (api,) = package.of_type("AWS::ApiGateway::RestApi").values()
    assert "${APIHandler.Arn}" not in json.dumps(api)
    assert "${APIHandlerAliaslive}" in json.dumps(api)
    permission = resource(package, "APIHandlerInvokePermission")["Properties"]
    assert permission["FunctionName"] == ref("APIHandlerAliaslive")


def test_a_setting_that_changes_is_a_new_version(packages: dict[str, Packaged]) -> None:
    properties = packages["every"].sam["Resources"]["Worker"]["Properties"]
    assert properties["AutoPublishAliasAllProperties"] is True


def test_a_stage_may_have_the_largest_batches_that_a_mapping_takes(
    packages: dict[str, Packaged],
) -> None:
    package = packages["tokens"]
    (mapping,) = package.of_type("AWS::Lambda::EventSourceMapping").values()
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (10_000, 300)
    variables = package.of_type("AWS::Lambda::Function")["Worker"]["Environment"]["Variables"]
    assert (variables["BATCH_SIZE"], variables["BATCH_WINDOW"]) == ("10000", "300")
