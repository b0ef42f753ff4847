"""Every fault that the doctor has to find, how it is planted, and what is said of it."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import boto3

from chalicelib.errors import StoreUnavailable
from tests.template.conftest import REGION
from tests.template.patient import QUEUE, STAGE, Patient

Plant = tuple[str, str, Callable[[Patient], Any], str, str]


def gone(service: str, operation: str, **named: Any) -> Callable[[Patient], Any]:
    """Return what makes one call of AWS's, to delete something."""
    return lambda p: getattr(p.aws.client(service), operation)(**named)


def url_of(p: Patient, queue: str) -> str:
    return str(p.aws.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def redrive(target: str, count: int) -> Callable[[Patient], None]:
    arn = f"arn:aws:sqs:{REGION}:123456789012:{target}"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": count})
    return lambda p: p.attribute(QUEUE, RedrivePolicy=policy)


def another_queue(p: Patient) -> None:
    p.aws.client("sqs").create_queue(QueueName="another")
    redrive("another", 3)(p)


def another_mapping(p: Patient) -> None:
    p.aws.client("sqs").create_queue(QueueName="another")
    p.aws.client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:{REGION}:123456789012:another",
        FunctionName=f"tasks-{STAGE}-worker",
    )


def no_mapping(p: Patient) -> None:
    functions = p.aws.client("lambda")
    (found,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.delete_event_source_mapping(UUID=found["UUID"])


def unreported(p: Patient) -> None:
    for short in ("", "-worker", "-sweeper", "-migrate", "-admin"):
        p.tell(short, PARTIAL_BATCH="")


def no_reserve(p: Patient) -> None:
    p.aws.client("lambda").delete_function_concurrency(FunctionName=f"tasks-{STAGE}")


def reserve(short: str, number: int) -> Callable[[Patient], Any]:
    return lambda p: p.aws.client("lambda").put_function_concurrency(
        FunctionName=f"tasks-{STAGE}{short}", ReservedConcurrentExecutions=number
    )


def other_code(p: Patient) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    p.aws.client("lambda").update_function_code(
        FunctionName=f"tasks-{STAGE}-migrate", ZipFile=code.getvalue()
    )


def no_rule(p: Patient) -> None:
    events = p.aws.client("events")
    (rule,) = events.list_rules()["Rules"]
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]])


def rule_off(p: Patient) -> None:
    events = p.aws.client("events")
    events.disable_rule(Name=events.list_rules()["Rules"][0]["Name"])


def deny(p: Patient) -> None:
    role, name, document = p.policy(f"tasks-{STAGE}-sweeper")
    send = {"Effect": "Deny", "Action": "sqs:Send*", "Resource": "*"}
    p.grant(role, name, {**document, "Statement": [*document["Statement"], send]})


def forget(p: Patient) -> None:
    role, name, document = p.policy(f"tasks-{STAGE}")
    kept = [one for one in document["Statement"] if "secretsmanager" not in json.dumps(one)]
    p.grant(role, name, {**document, "Statement": kept})


def simulated(p: Patient) -> None:
    p.lacking.simulates = True
    p.lacking.denies = {"sqs:DeleteMessage"}


def secret_dying(p: Patient) -> None:
    assert p
    make: Any = boto3.client
    make("secretsmanager", region_name="eu-west-1").delete_secret(SecretId="tasks")


def secret_gone(p: Patient) -> None:
    assert p
    make: Any = boto3.client
    manager = make("secretsmanager", region_name="eu-west-1")
    manager.delete_secret(SecretId="tasks", ForceDeleteWithoutRecovery=True)


def edge(p: Patient) -> None:
    gateway = p.aws.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    change = {"op": "replace", "path": "/endpointConfiguration/types/REGIONAL", "value": "EDGE"}
    gateway.update_rest_api(restApiId=api["id"], patchOperations=[change])


def database_away(p: Patient) -> None:
    def away() -> Any:
        raise StoreUnavailable

    p.monkeypatch.setattr(p.made.health, "read_server", away)


def old_schema(p: Patient) -> None:
    p.monkeypatch.setattr(p.made.health, "read_schema_version", lambda: 1)


def new_schema(p: Patient) -> None:
    p.monkeypatch.setattr(p.made.health, "read_schema_version", lambda: 99)


def clock(seconds: float) -> Callable[[Patient], None]:
    def wrong(p: Patient) -> None:
        read = p.made.health.read_server
        p.monkeypatch.setattr(
            p.made.health, "read_server", lambda: read() | {"clock": time.time() + seconds}
        )

    return wrong


def row(status: str, **seconds: float | str) -> Callable[[Patient], None]:
    """Return what adds a task whose times are so many seconds from now."""

    def plant(p: Patient) -> None:
        times = {
            name: value if isinstance(value, str) else p.table.at(value)
            for name, value in seconds.items()
        }
        p.table.arrange(status, **times)

    return plant


def lost(p: Patient) -> None:
    p.table.update(p.table.arrange("processing"), lease_until=p.table.at(-500))


def long_backlog(p: Patient) -> None:
    row("pending", dispatch_after=-9000)(p)
    url = url_of(p, QUEUE)
    p.attribute(QUEUE, ReceiveMessageWaitTimeSeconds="0")
    # Delayed: what is visible moto hands to the mapping at once.
    p.aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}", DelaySeconds=900)


UNSENT = row("pending", dispatch_after="-infinity", created_at=-500, run_at=-500)
NOT_READY = "503 the database does not answer"


def unready(p: Patient) -> None:
    p.ready = NOT_READY


#: The check, how bad it is, how the fault is made, what is said of it, and of the cure.
FAULTS: dict[str, Plant] = {
    "a function that is gone": (
        "functions",
        "wrong",
        gone("lambda", "delete_function", FunctionName="tasks-test-admin"),
        "there is no function tasks-test-admin",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a deployment that did not end": (
        "functions",
        "warning",
        other_code,
        "same code",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a door that is open to everybody": (
        "settings",
        "wrong",
        lambda p: p.tell("", AUTH="off"),
        "tasks-test does not start: AUTH: off",
        ".chalice/config.json",
    ),
    "a database that need not show a certificate": (
        "settings",
        "wrong",
        lambda p: p.tell("-worker", DATABASE_TLS=""),
        "tasks-test-worker does not start: DATABASE_TLS",
        "docs/settings.md",
    ),
    "functions that are told different things": (
        "settings",
        "wrong",
        lambda p: p.tell("-sweeper", MAX_RECEIVE_COUNT="5"),
        "told MAX_RECEIVE_COUNT in different ways",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a worker that is ended too early": (
        "worker-timeout",
        "wrong",
        lambda p: p.configure("-worker", Timeout=30),
        "ended after 30 s; WORKER_TIMEOUT is 60",
        "--function-name tasks-test-worker --timeout 60",
    ),
    "no mapping": (
        "mapping",
        "wrong",
        no_mapping,
        f"nothing feeds the worker from {QUEUE}",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a mapping that is off": (
        "mapping",
        "wrong",
        lambda p: p.mapping(Enabled=False),
        "is Disabled",
        "--enabled",
    ),
    "another batch size": (
        "mapping",
        "warning",
        lambda p: p.mapping(BatchSize=3),
        "BATCH_SIZE is 10, and the mapping has 3",
        "--batch-size 10",
    ),
    "another concurrency": (
        "mapping",
        "warning",
        lambda p: p.mapping(ScalingConfig={"MaximumConcurrency": 77}),
        "MAXIMUM_CONCURRENCY is 10, and the mapping has 77",
        "MaximumConcurrency=10",
    ),
    "a mapping that was left": (
        "mapping",
        "warning",
        another_mapping,
        "1 more mappings",
        "delete-event-source-mapping",
    ),
    "failed messages that Lambda deletes": (
        "partial-batches",
        "wrong",
        lambda p: p.mapping(FunctionResponseTypes=[]),
        "the mapping has no ReportBatchItemFailures",
        "--function-response-types ReportBatchItemFailures",
    ),
    "a worker that does not use partial batches": (
        "partial-batches",
        "warning",
        unreported,
        "PARTIAL_BATCH is delete",
        "PARTIAL_BATCH to report",
    ),
    "loops without end": (
        "recursion",
        "warning",
        lambda p: setattr(p.lacking, "recursion", "Allow"),
        "in a loop without end",
        "put-function-recursion-config",
    ),
    "no queue": (
        "queues",
        "wrong",
        lambda p: p.aws.client("sqs").delete_queue(QueueUrl=url_of(p, QUEUE)),
        f"there is no queue {QUEUE}",
        "localdev seed --aws",
    ),
    "a queue that hides too briefly": (
        "visibility-timeout",
        "wrong",
        lambda p: p.attribute(QUEUE, VisibilityTimeout="90"),
        "for 90 s; six of the worker's time limits are 360 s",
        "--visibility-timeout 360",
    ),
    "letters that go elsewhere": (
        "redrive",
        "wrong",
        another_queue,
        "another, not to interview-queue-test-dlq",
        "seed --aws",
    ),
    "another number of receives": (
        "redrive",
        "wrong",
        redrive(f"{QUEUE}-dlq", 5),
        "after 5 receives",
        "--max-receive-count 3",
    ),
    "letters that vanish as they arrive": (
        "retention",
        "wrong",
        lambda p: p.attribute(f"{QUEUE}-dlq", MessageRetentionPeriod="345600"),
        "its letters are kept 4: a letter's age counts",
        "seed --aws",
    ),
    "another retention": (
        "retention",
        "wrong",
        lambda p: p.attribute(QUEUE, MessageRetentionPeriod="86400"),
        "it should be 4 and 14",
        "seed --aws --region us-east-1",
    ),
    "a database that is away": (
        "database",
        "wrong",
        database_away,
        "StoreUnavailable",
        "the security group",
    ),
    "a reader in place of the writer": (
        "database",
        "wrong",
        lambda p: p.server(standby=True),
        "a standby",
        "the writer's endpoint",
    ),
    "a schema that is too old": (
        "schema",
        "wrong",
        old_schema,
        "version 1, the code wants",
        "--function-name tasks-test-migrate",
    ),
    "a schema that is newer": ("schema", "warning", new_schema, "version 99", "older code"),
    "a clock that is wrong": ("clock", "warning", clock(60), "clock is +", "NTP"),
    "a clock that is very wrong": ("clock", "wrong", clock(-900), "clock is -", "NTP"),
    "a function that somebody stopped": (
        "concurrency",
        "wrong",
        reserve("-sweeper", 0),
        "tasks-test-sweeper is stopped",
        "delete-function-concurrency --region us-east-1 --function-name tasks-test-sweeper",
    ),
    "a worker with too little room": (
        "concurrency",
        "warning",
        reserve("-worker", 4),
        "10 times at once, and 4 are reserved",
        "lower MAXIMUM_CONCURRENCY",
    ),
    "an account with too little room": (
        "concurrency",
        "warning",
        lambda p: setattr(p.lacking, "unreserved", 10),
        "leaves 10 invocations at once",
        "Concurrent executions",
    ),
    "an API without a limit": (
        "connections",
        "warning",
        no_reserve,
        "nothing but the account's 900 limits",
        '"reserved_concurrency" of api_handler to',
    ),
    "an API with too high a limit": (
        "connections",
        "wrong",
        reserve("", 500),
        "a reserved concurrency of 500",
        '"reserved_concurrency" of api_handler to',
    ),
    "a database that is too small for the worker": (
        "connections",
        "wrong",
        lambda p: p.server(role_limit=12),
        "has room for 12",
        "lower MAXIMUM_CONCURRENCY to under 9",
    ),
    "tasks that nobody sends": ("backlog", "wrong", UNSENT, "1 tasks have no message", "sweeper"),
    "attempts that nobody ends": ("backlog", "wrong", lost, "workers that are gone", "sweeper"),
    "tasks that nobody expires": (
        "backlog",
        "wrong",
        row("pending", expires_at=-500, dispatch_after=500),
        "have expired",
        "sweeper",
    ),
    "tasks whose messages were lost": (
        "backlog",
        "wrong",
        row("pending", dispatch_after=-500),
        "0 messages are there",
        "sweeper",
    ),
    "more tasks than are worked": (
        "backlog",
        "warning",
        long_backlog,
        "more is posted than is worked",
        "MAXIMUM_CONCURRENCY",
    ),
    "a denial": (
        "permissions",
        "wrong",
        deny,
        f"tasks-test-sweeper may not sqs:SendMessage on arn:aws:sqs:{REGION}:123456789012:{QUEUE}",
        "policy-*.json",
    ),
    "a right that is missing": (
        "permissions",
        "wrong",
        forget,
        "tasks-test may not secretsmanager:GetSecretValue",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a right that IAM's simulator denies": (
        "permissions",
        "wrong",
        simulated,
        "tasks-test-worker may not sqs:DeleteMessage",
        "policy-",
    ),
    "a secret that is gone": (
        "secret",
        "wrong",
        secret_gone,
        "there is no secret",
        "docs/deploy.md",
    ),
    "a secret that will be gone": (
        "secret",
        "wrong",
        secret_dying,
        "going to be deleted",
        "restore-secret",
    ),
    "an endpoint at the edge": (
        "api-endpoint",
        "warning",
        edge,
        "EDGE, not REGIONAL",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "an API that is not ready": ("ready", "wrong", unready, NOT_READY, "database and schema"),
    "no rule": (
        "sweeper",
        "wrong",
        no_rule,
        "no rule invokes",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "a rule that is off": ("sweeper", "wrong", rule_off, "disabled", "enable-rule --region"),
    "no alarm": (
        "alarms",
        "wrong",
        gone("cloudwatch", "delete_alarms", AlarmNames=["tasks-test-old-message"]),
        "there is no alarm tasks-test-old-message",
        "scripts/deploy.sh test --region us-east-1 --repair",
    ),
    "an alarm that rings": (
        "alarms",
        "wrong",
        lambda p: p.state("dead-letters", "ALARM"),
        "tasks-test-dead-letters rings: because",
        "docs/operations.md",
    ),
    "an alarm that knows nothing": (
        "alarms",
        "warning",
        lambda p: p.state("api-errors", "INSUFFICIENT_DATA"),
        "has not seen any data",
        "sweeper",
    ),
    "an alarm that tells nobody": (
        "alarms",
        "warning",
        lambda p: p.alarm("worker-errors", AlarmActions=[]),
        "nobody is told by tasks-test-worker-errors",
        "AlarmTopicArn=",
    ),
    "a log that is kept for ever": (
        "log-retention",
        "warning",
        gone("logs", "delete_retention_policy", logGroupName="/aws/lambda/tasks-test-worker"),
        "the log of tasks-test-worker is kept for ever",
        "--retention-in-days 30",
    ),
}
