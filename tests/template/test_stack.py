"""The stack as CloudFormation makes it, and what Chalice deploys without it, on moto's AWS."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.packages import chalice, copied, packaged

if TYPE_CHECKING:
    from tests.template.conftest import Aws, Packaged

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
ARM64, X86_64 = 0xB7, 0x3E  # e_machine in the header of a library


def created(aws: Aws, package: Packaged) -> None:
    s3, bucket = aws.client("s3"), "packages"
    s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(package.folder / "deployment.zip"), bucket, "package.zip")
    template = json.loads(json.dumps(package.sam))
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            one["Properties"]["CodeUri"] = f"s3://{bucket}/package.zip"
    aws.client("cloudformation").create_stack(
        StackName=f"tasks-{package.stage}",
        TemplateBody=json.dumps(template),
        Capabilities=CAPABILITIES,
    )


def attributes(aws: Aws, queue: str) -> dict[str, str]:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def mapping(aws: Aws) -> dict[str, Any]:
    (found,) = aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return dict(found)


def functions(aws: Aws) -> dict[str, dict[str, Any]]:
    return {one["FunctionName"]: one for one in aws.client("lambda").list_functions()["Functions"]}


def policies(aws: Aws) -> dict[str, str]:
    """Return the policy of each role, as text."""
    iam = aws.client("iam")
    return {
        role["RoleName"]: json.dumps(
            iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)
        )
        for role in iam.list_roles()["Roles"]
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    }


def test_both_stages_stand_side_by_side_in_one_account(
    aws: Aws, packages: dict[str, Packaged]
) -> None:
    for stage in ("prod", "tokens"):
        created(aws, packages[stage])
    assert {name.split("-")[1] for name in functions(aws)} == {"prod", "tokens"}
    assert len(functions(aws)) == 10


def test_the_stacks_queue_hides_redrives_and_keeps_as_it_should(
    aws: Aws, packages: dict[str, Packaged]
) -> None:
    created(aws, packages["prod"])
    queue = attributes(aws, "interview-queue-prod")
    dead = attributes(aws, "interview-queue-prod-dlq")
    assert json.loads(queue["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": 3,
    }
    assert (queue["VisibilityTimeout"], queue["MessageRetentionPeriod"]) == ("360", "345600")
    assert dead["MessageRetentionPeriod"] == "1209600"
    assert queue["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"


def test_the_stacks_mapping_feeds_the_worker_and_reports_partial_batches(
    aws: Aws, packages: dict[str, Packaged]
) -> None:
    created(aws, packages["prod"])
    found = mapping(aws)
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["ScalingConfig"] == {"MaximumConcurrency": 10}
    assert found["EventSourceArn"] == attributes(aws, "interview-queue-prod")["QueueArn"]
    assert found["FunctionArn"] == functions(aws)["tasks-prod-worker"]["FunctionArn"]
    told = functions(aws)["tasks-prod-worker"]["Environment"]["Variables"]
    assert (told["PARTIAL_BATCH"], told["QUEUE_NAME"]) == ("report", "interview-queue-prod")


def test_each_of_the_stacks_functions_has_its_own_role_and_log(
    aws: Aws, packages: dict[str, Packaged]
) -> None:
    created(aws, packages["prod"])
    found = functions(aws)
    assert len({one["Role"] for one in found.values()}) == len(found) == 5
    groups = aws.client("logs").describe_log_groups()["logGroups"]
    kept = {group["logGroupName"]: group["retentionInDays"] for group in groups}
    assert kept == {f"/aws/lambda/{name}": 30 for name in found}


@pytest.fixture
def queues(aws: Aws) -> None:
    """What `python -m localdev seed --aws` makes for a deployment without CloudFormation."""
    for name in ("interview-queue-prod-dlq", "interview-queue-prod"):
        aws.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "360"})


@pytest.mark.usefixtures("queues")
@pytest.mark.timeout(300)
def test_chalice_deploys_redeploys_and_deletes_a_stage(aws: Aws, tmp_path: Path) -> None:
    app = copied(tmp_path, bare=True)
    for _ in range(2):
        done = chalice(app, "deploy", "--stage", "prod", **aws.environ())
        assert done.returncode == 0, done.stderr
        assert mapping(aws)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert functions(aws).keys() == {
            "tasks-prod",
            *(f"tasks-prod-{name}" for name in ("worker", "sweeper", "migrate", "admin")),
        }
        assert len(aws.client("apigateway").get_rest_apis()["items"]) == 1
    assert mapping(aws)["EventSourceArn"] == attributes(aws, "interview-queue-prod")["QueueArn"]
    granted = policies(aws)
    assert "interview-queue-prod-dlq" in granted["tasks-prod-worker"]
    assert "${" not in "".join(granted.values())
    groups = aws.client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"] for group in groups} == {
        f"/aws/lambda/{name}" for name in functions(aws)
    }
    done = chalice(app, "delete", "--stage", "prod", **aws.environ())
    assert done.returncode == 0, done.stderr
    assert functions(aws) == {}
    assert aws.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("architecture", "machine"), [("arm64", ARM64), ("x86_64", X86_64)])
def test_a_package_holds_libraries_of_its_architecture_or_there_is_none(
    tmp_path: Path, architecture: str, machine: int
) -> None:
    app = copied(tmp_path)
    file = app / ".chalice" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "lambda_architecture": architecture}))
    done = packaged(app, tmp_path / "out")
    if architecture == "arm64" and sys.version_info < (3, 12):
        assert done.returncode == 1
        assert "psycopg2-binary has none for arm64 on Python 3.11" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "out" / "deployment.zip") as archive:
        libraries = [name for name in archive.namelist() if ".so" in Path(name).suffixes]
        machines = {archive.read(name)[18] for name in libraries}
    assert machines == {machine}
    template = json.loads((tmp_path / "out" / "sam.json").read_text(encoding="utf-8"))
    worker = template["Resources"]["Worker"]["Properties"]
    assert worker["Architectures"] == [architecture]
