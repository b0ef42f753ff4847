"""scripts/deploy.sh on moto's AWS; what moto never answers, by botocore's Stubber."""

from __future__ import annotations

import functools
import http.server
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from localdev.aws import account as accounts
from localdev.deploy import command, package
from localdev.deploy.bucket import Bucket
from localdev.deploy.functions import Migrator
from localdev.deploy.stack import CAPABILITIES, Stack
from localdev.errors import StackError
from tests.packages import ARN, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.template.conftest import Aws

ACCOUNT = "123456789012"
BUCKET = f"tasks-packages-{ACCOUNT}-us-east-1"
WHERE = "--region eu-west-1 --stack-name tasks-prod"
TOPIC = f"AlarmTopicArn=arn:aws:sns:us-east-1:{ACCOUNT}:ops"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app whose stage prod has a database."""
    app = copied(tmp_path, bare=True)
    monkeypatch.setattr(command, "APP", app)
    return app


@pytest.fixture
def deploy(
    aws: Aws, app: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Deploys the stage prod and returns what it said, the URL last."""
    assert app
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> list[str]:
        assert command.main(["prod", "--no-wait", *arguments]) == 0
        said = capfd.readouterr()
        return [*said.err.splitlines(), *said.out.splitlines()]

    return run


def parameters(aws: Aws) -> dict[str, str]:
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="tasks-prod")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def test_an_empty_account_becomes_a_working_stage(
    aws: Aws, deploy: Callable[..., list[str]]
) -> None:
    said = deploy()
    assert said[0] == f"deploying stage prod to account {ACCOUNT}, us-east-1"
    assert f"made the bucket {BUCKET}" in said
    assert "the stack tasks-prod is changed" in said
    assert said[-2] == "the schema is up to date"  # so says moto, which echoes what it is sent
    assert said[-1].startswith("https://")
    assert said[-1].endswith(".execute-api.us-east-1.amazonaws.com/api/")
    functions = aws.client("lambda").list_functions()["Functions"]
    assert {one["FunctionName"] for one in functions} >= {"tasks-prod", "tasks-prod-worker"}
    assert functions[0]["Environment"]["Variables"]["DATABASE_SECRET_ARN"] == ARN


def test_what_is_deployed_already_is_left_as_it_is(
    aws: Aws, deploy: Callable[..., list[str]]
) -> None:
    first = deploy()
    kept = aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    again = deploy()
    assert "the stack tasks-prod is up to date" in again
    assert not [line for line in again if line.startswith("made the bucket")]
    assert again[-1] == first[-1]
    assert aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"] == kept


def test_a_parameter_is_kept_until_another_is_given(
    aws: Aws, deploy: Callable[..., list[str]], app: Path
) -> None:
    deploy("--parameter", TOPIC)
    assert parameters(aws)["AlarmTopicArn"] == TOPIC.partition("=")[2]
    (app / "chalicelib" / "handlers" / "another.py").write_text('"""Nothing yet."""\n')
    assert "the stack tasks-prod is changed" in deploy("--parameter", "ApiRateLimit=7")
    assert parameters(aws)["AlarmTopicArn"] == TOPIC.partition("=")[2]
    assert parameters(aws)["ApiRateLimit"] == "7"


def sums(aws: Aws) -> dict[str, str]:
    """Return the checksum of the code of each function."""
    found = aws.client("lambda").list_functions()["Functions"]
    return {one["FunctionName"]: one["CodeSha256"] for one in found}


def change_sets(aws: Aws) -> int:
    told = aws.client("cloudformation").list_change_sets(StackName="tasks-prod")
    return len(told["Summaries"])


def test_what_cannot_be_deployed_is_found_before_anything_is_changed(
    aws: Aws, deploy: Callable[..., list[str]], app: Path
) -> None:
    deploy()
    before = sums(aws)
    (app / "chalicelib" / "handlers" / "another.py").write_text('"""Nothing yet."""\n')
    with pytest.raises(StackError, match="the template has no parameter Nonsense"):
        deploy("--parameter", "Nonsense=1")
    assert sums(aws) == before


def test_the_schema_is_migrated_before_other_code_changes(
    aws: Aws, deploy: Callable[..., list[str]], app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    (app / "chalicelib" / "handlers" / "another.py").write_text('"""Nothing yet."""\n')
    client = aws.client("lambda")

    def code(name: str) -> str:
        found = client.get_function_configuration(FunctionName=f"tasks-prod{name}")
        return str(found["CodeSha256"])

    old, seen = code(""), []
    migrator = "tasks-prod-migrate"
    runs_on = client.get_function_configuration(FunctionName=migrator)["Runtime"]
    client.update_function_configuration(FunctionName=migrator, Runtime="python3.9")

    def migrating(_: Migrator) -> list[str]:
        found = client.get_function_configuration(FunctionName=migrator)
        assert found["Runtime"] == runs_on
        assert found["Environment"]["Variables"]["DATABASE_SECRET_ARN"] == ARN
        seen.append((code("-migrate") == old, code("") == old, code("-worker") == old))
        return ["0003_x.sql"]

    monkeypatch.setattr(Migrator, "migrate", migrating)
    assert "migrated: 0003_x.sql" in deploy()
    assert seen == [(False, True, True), (False, False, False)]
    seen.clear()
    deploy("--no-migrate")
    assert seen == []


def test_a_migration_that_fails_leaves_the_running_code_alone(
    aws: Aws, deploy: Callable[..., list[str]], app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    before, prepared = sums(aws), change_sets(aws)
    (app / "chalicelib" / "handlers" / "another.py").write_text('"""Nothing yet."""\n')

    def failing(_: Migrator) -> list[str]:
        assert change_sets(aws) == prepared + 1
        raise StackError("no")

    monkeypatch.setattr(Migrator, "migrate", failing)
    with pytest.raises(StackError, match="no"):
        deploy()
    assert change_sets(aws) == prepared
    after = sums(aws)
    assert [name for name in before if after[name] != before[name]] == ["tasks-prod-migrate"]


def test_another_database_is_migrated_after_the_functions_know_it(
    aws: Aws, deploy: Callable[..., list[str]], app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    file = app / ".chalice" / "config.json"
    file.write_text(file.read_text(encoding="utf-8").replace(ARN, f"{ARN[:-6]}GhIjKl"))
    seen = []

    def migrating(migrator: Migrator) -> list[str]:
        found = aws.client("lambda").get_function_configuration(FunctionName=migrator.name)
        seen.append(found["Environment"]["Variables"]["DATABASE_SECRET_ARN"])
        return []

    monkeypatch.setattr(Migrator, "migrate", migrating)
    said = deploy()
    assert (
        "the database is reached in another way from now on; it is migrated after the stack" in said
    )
    assert seen == [f"{ARN[:-6]}GhIjKl"]


def test_a_stage_that_lost_its_migrator_is_told_of_the_repair(
    aws: Aws, deploy: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    aws.client("lambda").delete_function(FunctionName="tasks-prod-migrate")
    with pytest.raises(StackError, match="has lost tasks-prod-migrate; say --repair"):
        deploy()
    # moto makes no change sets that know of drift, so what is repaired is not there afterwards.
    monkeypatch.setattr(Migrator, "migrate", lambda _: ["0001_x.sql"])
    said = deploy("--repair")
    assert "tasks-prod-migrate is made again first; then the schema is migrated" in said
    assert said[-2] == "migrated: 0001_x.sql"


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_bucket_is_private_encrypted_and_takes_no_call_without_tls(
    aws: Aws, deploy: Callable[..., list[str]], *, interrupted: bool
) -> None:
    s3 = aws.client("s3")
    if interrupted:
        s3.create_bucket(Bucket=BUCKET)
    deploy()
    blocked = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def test_a_stage_that_is_not_there_is_refused_before_aws_is_asked(app: Path) -> None:
    assert app
    with pytest.raises(StackError, match=r"there is no stage test .* dev, prod"):
        command.main(["test", "--region", "us-east-1"])


def test_a_stage_without_a_database_is_refused_before_anything_is_made(
    aws: Aws, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StackError, match="Stage dev: it has no database"):
        command.main(["dev", "--no-wait"])
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_what_chalice_has_against_a_package_is_told(app: Path, tmp_path: Path) -> None:
    (app / "app.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(StackError, match="nothing_of_that_name"):
        package.make(app, "prod", tmp_path / "out", {"PATH": "/usr/bin"}, "us-east-1")


class Stubbed:
    """An account whose services answer what the test says."""

    def __init__(self) -> None:
        clients: Any = [boto3.client(name, region_name="eu-west-1") for name in SERVICES]
        self.stubs = dict(zip(SERVICES, map(Stubber, clients), strict=True))
        for stub in self.stubs.values():
            stub.activate()
        s3, cloudformation, functions = clients
        self.account = accounts.Aws(ACCOUNT, "eu-west-1", s3, cloudformation, functions)
        self.stack = Stack(self.account, "tasks-prod", pause=lambda _: None)

    def changes(self, *, may_release: bool = False) -> bool:
        """Prepare a change of the stack, and carry it out."""
        change = self.stack.prepare("https://x", {}, may_release=may_release)
        return self.stack.carry_out(change)

    def answers(
        self, service: str, operation: str, content: dict[str, Any], asked: Any = None
    ) -> None:
        self.stubs[service].add_response(operation, content, asked)

    def refuses(self, service: str, operation: str, code: str, message: str = "") -> None:
        self.stubs[service].add_client_error(operation, code, message)

    def is_in(self, *statuses: str, **more: Any) -> None:
        for status in statuses:
            stack = {"StackName": "tasks-prod", "StackStatus": status, "CreationTime": 0, **more}
            self.answers("cloudformation", "describe_stacks", {"Stacks": [stack]})


SERVICES: tuple[Any, ...] = ("s3", "cloudformation", "lambda")


@pytest.fixture
def stubbed() -> Stubbed:
    return Stubbed()


def prepared(stubbed: Stubbed, *told: dict[str, Any]) -> None:
    stubbed.is_in("UPDATE_COMPLETE")
    stubbed.answers("cloudformation", "get_template_summary", {"Parameters": []})
    stubbed.answers("cloudformation", "create_change_set", {})
    for one in told:
        stubbed.answers("cloudformation", "describe_change_set", one)


def test_a_change_is_waited_for_and_its_failure_says_why(stubbed: Stubbed) -> None:
    prepared(stubbed, {"Status": "CREATE_IN_PROGRESS"}, {"Status": "CREATE_COMPLETE"})
    stubbed.answers("cloudformation", "execute_change_set", {})
    stubbed.is_in("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    common = {"StackId": "x", "EventId": "y", "StackName": "tasks-prod", "Timestamp": 0}
    event = {**common, "LogicalResourceId": "Worker", "ResourceStatus": "UPDATE_FAILED"}
    events = [{**event, "ResourceStatusReason": "no room"}, {**common, "LogicalResourceId": "z"}]
    stubbed.answers("cloudformation", "describe_stack_events", {"StackEvents": events})
    with pytest.raises(StackError, match=r"UPDATE_ROLLBACK_COMPLETE:\n  Worker: no room$"):
        stubbed.changes()


def change(action: str, kind: str = "AWS::RDS::DBCluster", **more: str) -> dict[str, Any]:
    told = {"Action": action, "ResourceType": kind, "PhysicalResourceId": "tasks-db", **more}
    return {"Type": "Resource", "ResourceChange": told}


@pytest.mark.parametrize(
    "losing", [change("Remove"), change("Modify", Replacement="True")], ids=["gone", "replaced"]
)
def test_a_database_does_not_leave_the_stack_unless_that_is_said(
    stubbed: Stubbed, losing: dict[str, Any]
) -> None:
    others = [change("Remove", "AWS::SQS::Queue"), change("Modify", Replacement="False")]
    ready = {"Status": "CREATE_COMPLETE"}
    first = {**ready, "Changes": others, "NextToken": "more"}
    prepared(stubbed, first, {**ready, "Changes": [losing]})
    stubbed.answers("cloudformation", "delete_change_set", {})
    with pytest.raises(StackError, match=r"the database tasks-db out of .* --release-database"):
        stubbed.changes()
    stubbed.stubs["cloudformation"].assert_no_pending_responses()
    prepared(stubbed, {**ready, "Changes": [losing]})
    stubbed.answers("cloudformation", "execute_change_set", {})
    stubbed.is_in("UPDATE_COMPLETE")
    assert stubbed.changes(may_release=True) is True


def test_other_changes_of_a_database_are_carried_out(stubbed: Stubbed) -> None:
    changes = [change("Add"), change("Modify", Replacement="False")]
    prepared(stubbed, {"Status": "CREATE_COMPLETE", "Changes": changes})
    stubbed.answers("cloudformation", "execute_change_set", {})
    stubbed.is_in("UPDATE_COMPLETE")
    assert stubbed.changes() is True


def test_a_stage_with_a_database_of_its_own_needs_no_other(app: Path) -> None:
    file = app / ".chalice" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["stages"]["dev"]["database"] = "aurora"
    file.write_text(json.dumps(config))
    package.check_stage(app, "dev")


def test_a_change_that_changes_nothing_is_none(stubbed: Stubbed) -> None:
    reason = "The submitted information didn't contain changes."
    prepared(stubbed, {"Status": "FAILED", "StatusReason": reason})
    stubbed.answers("cloudformation", "delete_change_set", {})
    assert stubbed.changes() is False


def test_a_change_that_cannot_be_prepared_says_why(stubbed: Stubbed) -> None:
    prepared(stubbed, {"Status": "FAILED", "StatusReason": "Template error"})
    stubbed.answers("cloudformation", "delete_change_set", {})
    with pytest.raises(StackError, match="Template error"):
        stubbed.changes()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("ROLLBACK_COMPLETE", "its first deployment failed .* delete it, and deploy again"),
        ("ROLLBACK_FAILED", "its first deployment failed, .* deletion protection off .* delete it"),
        (
            "DELETE_FAILED",
            "it was to be deleted, .* deletion protection off .* delete it once more",
        ),
        ("UPDATE_ROLLBACK_FAILED", f"continue-update-rollback {WHERE}, and .* deploy again"),
        ("UPDATE_FAILED", f"rollback-stack {WHERE}, and deploy again"),
        ("UPDATE_IN_PROGRESS", r"is being changed \(UPDATE_IN_PROGRESS\): deploy again when"),
    ],
)
def test_a_stack_that_cannot_be_changed_says_what_to_do(
    stubbed: Stubbed, status: str, message: str
) -> None:
    stubbed.is_in(status)
    with pytest.raises(StackError, match=message):
        stubbed.changes()


def test_an_update_that_cannot_be_undone_says_how_to_go_on(stubbed: Stubbed) -> None:
    prepared(stubbed, {"Status": "CREATE_COMPLETE"})
    stubbed.answers("cloudformation", "execute_change_set", {})
    stubbed.is_in("UPDATE_ROLLBACK_FAILED")
    stubbed.answers("cloudformation", "describe_stack_events", {"StackEvents": []})
    with pytest.raises(
        StackError, match=f"not say why\nan update .* continue-update-rollback {WHERE}"
    ):
        stubbed.changes()


def asked_for(stubbed: Stubbed, **told: Any) -> None:
    """Let a change be asked for in these words, and change nothing."""
    parameters = [{"ParameterKey": "AlarmTopicArn"}]
    stubbed.answers("cloudformation", "get_template_summary", {"Parameters": parameters})
    common = {
        "StackName": "tasks-prod",
        "ChangeSetName": ANY,
        "TemplateURL": "https://x",
        "Capabilities": CAPABILITIES,
    }
    stubbed.answers("cloudformation", "create_change_set", {}, common | told)
    none = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    stubbed.answers("cloudformation", "describe_change_set", none)
    stubbed.answers("cloudformation", "delete_change_set", {})


KEPT = {"ParameterKey": "AlarmTopicArn", "ParameterValue": "arn"}
PREVIOUS = {"ParameterKey": "AlarmTopicArn", "UsePreviousValue": True}


def test_a_stack_that_was_only_prepared_is_made_anew(stubbed: Stubbed) -> None:
    stubbed.is_in("REVIEW_IN_PROGRESS", Parameters=[KEPT])
    asked_for(stubbed, ChangeSetType="CREATE", Parameters=[])
    assert stubbed.stack.prepare("https://x", {}, repair=True).new
    told = "Stack with id tasks-prod does not exist"
    stubbed.refuses("cloudformation", "describe_stacks", "ValidationError", told)
    asked_for(stubbed, ChangeSetType="CREATE", Parameters=[])
    assert stubbed.stack.prepare("https://x", {}).new


def test_a_repair_asks_for_what_was_changed_by_hand_too(stubbed: Stubbed) -> None:
    told = {"ChangeSetType": "UPDATE", "Parameters": [PREVIOUS]}
    stubbed.is_in("UPDATE_COMPLETE", Parameters=[KEPT])
    asked_for(stubbed, **told)
    assert not stubbed.stack.prepare("https://x", {}).new
    stubbed.is_in("UPDATE_COMPLETE", Parameters=[KEPT])
    asked_for(stubbed, **told, DeploymentMode="REVERT_DRIFT")
    assert not stubbed.stack.prepare("https://x", {}, repair=True).new


def test_what_aws_refuses_is_told_in_one_sentence(stubbed: Stubbed) -> None:
    stubbed.refuses("cloudformation", "describe_stacks", "AccessDenied", "You may not.")
    with pytest.raises(StackError, match=r"describe the stack tasks-prod: AccessDenied: You may"):
        stubbed.changes()


def settled(stubbed: Stubbed, *statuses: str) -> None:
    for status in statuses:
        told = {"Configuration": {"LastUpdateStatus": status}}
        stubbed.answers("lambda", "get_function", told)


def test_the_migrator_is_given_what_its_code_runs_on(stubbed: Stubbed) -> None:
    named = {"FunctionName": "tasks-prod-migrate"}
    told = {"Runtime": "python3.12", "Handler": "app.migrate", "MemorySize": 1024, "Timeout": 300}
    common = {"Environment": {"Variables": {"DATABASE_URL": {"Fn::Sub": "postgresql://…"}}}}
    own = {"Environment": {"Variables": {"TRACING": "xray", "NEW": {"Ref": "TasksQueue"}}}}
    properties = {**named, **told, **own, "Architectures": ["arm64"]}
    template = {
        "Globals": {"Function": common},
        "Resources": {"Migrate": {"Type": "AWS::Serverless::Function", "Properties": properties}},
    }
    settled(stubbed, "Successful")
    where = {"S3Bucket": "ours", "S3Key": "prod/x.zip", "Architectures": ["arm64"]}
    stubbed.answers("lambda", "update_function_code", {}, named | where)
    settled(stubbed, "Successful")
    had = {"DATABASE_URL": "postgresql://db/tasks", "OLD": "1", "TRACING": "off"}
    had_by = {"Environment": {"Variables": had}}
    stubbed.answers("lambda", "get_function_configuration", had_by, named)
    environ = {"DATABASE_URL": "postgresql://db/tasks", "TRACING": "xray"}
    configured = named | told | {"Environment": {"Variables": environ}}
    stubbed.answers("lambda", "update_function_configuration", {}, configured)
    settled(stubbed, "Successful")
    Migrator(stubbed.account, "prod").renew(template, "ours", "prod/x.zip")
    stubbed.stubs["lambda"].assert_no_pending_responses()


def test_a_bucket_that_belongs_to_another_is_not_written_to(stubbed: Stubbed) -> None:
    stubbed.refuses("s3", "head_bucket", "403", "Forbidden")
    with pytest.raises(StackError, match=f"open the bucket tasks-packages-{ACCOUNT}-eu-west-1"):
        Bucket(stubbed.account, None).ensure()


def test_a_bucket_that_was_named_is_not_touched_and_not_made(stubbed: Stubbed) -> None:
    stubbed.answers("s3", "head_bucket", {})
    assert Bucket(stubbed.account, "ours").ensure() is False
    stubbed.refuses("s3", "head_bucket", "404")
    with pytest.raises(StackError, match="there is no bucket ours; make it"):
        Bucket(stubbed.account, "ours").ensure()


def test_the_template_is_read_from_the_bucket_in_its_own_region(stubbed: Stubbed) -> None:
    url = Bucket(stubbed.account, "ours").url("prod/x.json")
    assert url == "https://s3.eu-west-1.amazonaws.com/ours/prod/x.json"


def test_a_migration_that_raises_is_told_with_its_error(stubbed: Stubbed) -> None:
    answer = {"errorType": "MigrationRefused", "errorMessage": "0001 was altered"}
    body = json.dumps(answer).encode()
    payload = StreamingBody(io.BytesIO(body), len(body))
    stubbed.answers("lambda", "invoke", {"FunctionError": "Unhandled", "Payload": payload})
    with pytest.raises(StackError, match="MigrationRefused: 0001 was altered"):
        Migrator(stubbed.account, "prod").migrate()


def test_without_a_region_or_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match="no region is set"):
        accounts.connect(None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(StackError, match="no AWS credentials were found"):
        accounts.connect("eu-west-1")


class Door(http.server.BaseHTTPRequestHandler):
    """Answers 503 as often as told, then 200."""

    def __init__(self, unready: list[str], *arguments: Any) -> None:
        self.unready = unready
        super().__init__(*arguments)

    def do_GET(self) -> None:
        status = 503 if self.unready else 200
        body = self.unready.pop().encode() if self.unready else b"{}"
        self.send_response(status if self.path == "/api/readyz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def door() -> Iterator[tuple[str, list[str]]]:
    """The URL of an API, and the problems it answers with before it is ready."""
    unready: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Door, unready))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/", unready
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_waits_until_the_api_says_that_it_is_ready(door: tuple[str, list[str]]) -> None:
    url, unready = door
    unready.append("not yet")
    command.wait_until_ready(url, within=20)
    assert unready == []


def test_an_api_that_never_is_ready_is_told_with_its_last_answer(
    door: tuple[str, list[str]],
) -> None:
    url, unready = door
    unready += ["its schema is older"] * 50
    with pytest.raises(StackError, match="its schema is older"):
        command.wait_until_ready(url, within=0.1)
