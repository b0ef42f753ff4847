"""The template of each stage: without a warning, and with no more rights than are needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from chalice.constants import VPC_ATTACH_POLICY

from chalicelib.settings import Settings
from tests.template.snapshot import SNAPSHOT, reviewed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.template.conftest import Packaged

SETTINGS = Settings()
#: What may be granted on everything, since AWS knows no other resource for it.
ON_ALL = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
NAMES = ("QueueName", "FunctionName", "LogGroupName", "AlarmName", "DashboardName", "Name")
FUNCTIONS = {
    "APIHandler": ("tasks-{}", "ApiHandlerRole"),
    "Worker": ("tasks-{}-worker", "WorkerRole"),
    "Sweeper": ("tasks-{}-sweeper", "SweeperRole"),
    "Migrate": ("tasks-{}-migrate", "MigrateRole"),
    "Admin": ("tasks-{}-admin", "AdminRole"),
}
#: Besides, where tasks of high priority have a queue.
HIGH = {"WorkerHigh": ("tasks-{}-worker_high", "WorkerHighRole")}
#: What each function asks of the task queue and of the dead-letter queue.
ON_QUEUES = {
    "APIHandler": (
        "GetQueueUrl GetQueueAttributes SendMessage",
        "GetQueueUrl GetQueueAttributes",
    ),
    "Worker": (
        """GetQueueUrl GetQueueAttributes ReceiveMessage DeleteMessage ChangeMessageVisibility
        SendMessage""",
        "GetQueueUrl SendMessage",
    ),
    "Sweeper": (
        "GetQueueUrl GetQueueAttributes SendMessage",
        """GetQueueUrl GetQueueAttributes ReceiveMessage ChangeMessageVisibility DeleteMessage
        SendMessage""",
    ),
    "Migrate": ("", ""),
    "Admin": ("", ""),
}


def has_high(package: Packaged) -> bool:
    return package.stage == "every"


def functions_of(package: Packaged) -> dict[str, tuple[str, str]]:
    return FUNCTIONS | (HIGH if has_high(package) else {})


def sources_of(package: Packaged) -> set[str]:
    """Return the logical ids of the queues that tasks go by."""
    return {"TasksQueue", *(["TasksHighQueue"] if has_high(package) else [])}


def lint(tools: Path, path: Path, *more: str) -> str:
    done = subprocess.run(
        [tools / "cfn-lint", "--template", path, "--regions", "us-east-1", "eu-west-1", *more],
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        check=False,
        capture_output=True,
        text=True,
    )
    return f"{done.stdout}{done.stderr}" + (f" rc {done.returncode}" if done.returncode else "")


def test_the_linter_of_cloudformation_has_nothing_to_say(
    tools: Path, package: Packaged, tmp_path: Path
) -> None:
    # It takes the mapping for a part of the worker; SAM makes a resource of it, and the worker
    # itself would not wait for the queue.
    beside = ("--ignore-checks", "W3005")
    assert lint(tools, package.folder / "sam.json", *beside) == ""
    translated = tmp_path / "translated.json"
    translated.write_text(json.dumps(package.translated))
    assert lint(tools, translated) == ""


def test_the_linter_would_say_it(
    tools: Path, packages: dict[str, Packaged], tmp_path: Path
) -> None:
    broken = json.loads(json.dumps(packages["prod"].sam))
    broken["Resources"]["TasksQueue"]["Properties"]["VisibilityTimeout"] = 50_000
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken))
    assert "50000 is greater than the maximum" in lint(tools, path)


def test_the_template_is_the_one_that_was_reviewed(packages: dict[str, Packaged]) -> None:
    kept = SNAPSHOT.read_text(encoding="utf-8")
    assert reviewed(packages["prod"].sam) == kept, "run scripts/template.sh --write; review it"


def test_no_name_is_used_by_two_stages(packages: dict[str, Packaged]) -> None:
    used = [set(names(package.translated["Resources"])) for package in packages.values()]
    counts = {
        package.stage: len(some) for package, some in zip(packages.values(), used, strict=True)
    }
    assert counts.pop("every") == len(used[0]) + 6  # a queue, a function, its log, three alarms
    assert set(counts.values()) == {len(used[0])}
    assert len(used[0]) > 15
    every = [name for some in used for name in some]
    assert len(set(every)) == len(every)


def names(resources: dict[str, Any]) -> list[str]:
    return [
        name
        for resource in resources.values()
        if resource["Type"] != "AWS::Lambda::Alias"  # whose name is its function's own affair
        for key in NAMES
        if isinstance(name := resource["Properties"].get(key), str)
    ]


def test_nothing_is_left_to_be_filled_in(package: Packaged) -> None:
    assert re.findall(r"\$\{[A-Z_]+\}", json.dumps(package.sam)) == []


def statements(package: Packaged, role: str) -> list[dict[str, Any]]:
    (policy,) = package.of_type("AWS::IAM::Role")[role]["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


#: The database's user as IAM names it, in the stages where a token is shown.
USERS: dict[str, Any] = {
    "tokens": "arn:*:rds-db:*:*:dbuser:cluster-ABC123/app",
    "every": {
        "Fn::Sub": "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:"
        "${TasksDatabase.DBClusterResourceId}/tasks_admin"
    },
}


def text(arn: Any) -> str:
    """Return what a resource of a policy is known by, a reference as its JSON."""
    return arn if isinstance(arn, str) else json.dumps(arn)


def test_a_function_may_do_what_it_does_and_nothing_else(package: Packaged) -> None:
    queue = package.of_type("AWS::SQS::Queue")["TasksQueue"]["QueueName"]
    for function, (name, role) in functions_of(package).items():
        code = function.removesuffix("High")
        wanted = {**logs_of(package, name), **wanted_of_the_database(package, function)}
        if (function, package.stage) == ("Worker", "test"):
            on_files = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
            wanted["arn:*:s3:::our-files/tasks/*"] = on_files
        for arn, calls in zip([queue, f"{queue}-dlq"], ON_QUEUES[code], strict=True):
            if calls:
                wanted[f"arn:*:sqs:*:*:{arn}"] = {f"sqs:{call}" for call in calls.split()}
        if has_high(package) and (calls := ON_QUEUES[code][0]):
            wanted[f"arn:*:sqs:*:*:{queue}-high"] = {f"sqs:{call}" for call in calls.split()}
        granted: dict[str, set[str]] = {}
        for statement in statements(package, role):
            assert statement.keys() == {"Effect", "Action", "Resource"}
            assert statement["Effect"] == "Allow"
            resources = statement["Resource"]
            for one in [resources] if isinstance(resources, str) else resources:
                granted.setdefault(text(one), set()).update(statement["Action"])
        assert granted == wanted


def logs_of(package: Packaged, name: str) -> dict[str, set[str]]:
    """Return where a function may write its log; both workers have one policy, and so two logs."""
    workers = {FUNCTIONS["Worker"][0], HIGH["WorkerHigh"][0]}
    named = workers if has_high(package) and name in workers else {name}
    log = "arn:*:logs:*:*:log-group:/aws/lambda/{}:*"
    return {log.format(one.format(package.stage)): LOGS for one in named}


def wanted_of_the_database(package: Packaged, function: str) -> dict[str, set[str]]:
    told = package.of_type("AWS::Lambda::Function")[function]
    in_network = set(VPC_ATTACH_POLICY["Action"]) if "VpcConfig" in told else set()
    wanted = {"*": ON_ALL | in_network}
    environ = told["Environment"]["Variables"]
    if secret := environ.get("DATABASE_SECRET_ARN"):
        wanted[text(secret)] = {"secretsmanager:GetSecretValue"}
    if environ.get("DATABASE_AUTH") == "iam":
        wanted[text(USERS[package.stage])] = {"rds-db:connect"}
    return wanted


def test_each_function_has_a_role_a_log_that_ends_and_is_traced(package: Packaged) -> None:
    functions = package.of_type("AWS::Lambda::Function")
    assert functions.keys() == functions_of(package).keys()
    logs = package.of_type("AWS::Logs::LogGroup")
    kept = {log["LogGroupName"]: log["RetentionInDays"] for log in logs.values()}
    for function, properties in functions.items():
        name, role = functions_of(package)[function]
        assert properties["FunctionName"] == name.format(package.stage)
        assert properties["Role"] == {"Fn::GetAtt": [role, "Arn"]}
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert kept.pop(f"/aws/lambda/{properties['FunctionName']}") == 30
        # Else Lambda could be quicker to make the group, and the stack fail.
        [name] = before(package, function) & logs.keys()
        log = logs[name]
        assert log["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"
    assert kept == {}


def before(package: Packaged, function: str) -> set[str]:
    """Return what CloudFormation makes or changes before the function."""
    told = package.translated["Resources"][function]["DependsOn"]
    return {told} if isinstance(told, str) else set(told)


def test_the_queue_hides_long_enough_before_the_worker_may_take_longer(package: Packaged) -> None:
    assert "TasksQueue" in before(package, "Worker")
    queue = package.of_type("AWS::SQS::Queue")["TasksQueue"]
    worker = package.of_type("AWS::Lambda::Function")["Worker"]
    assert queue["VisibilityTimeout"] == 6 * worker["Timeout"]
    if has_high(package):
        assert "TasksHighQueue" in before(package, "WorkerHigh")
        high = package.of_type("AWS::SQS::Queue")["TasksHighQueue"]
        assert high == {**queue, "QueueName": f"{queue['QueueName']}-high"}
        assert package.of_type("AWS::Lambda::Function")["WorkerHigh"]["Timeout"] == 60
    slow = package.stage == "tokens"
    assert (worker["Timeout"], queue["RedrivePolicy"]["maxReceiveCount"]) == (
        (300, 5) if slow else (60, 3)
    )


def test_the_queues_are_encrypted_and_take_no_call_without_tls(package: Packaged) -> None:
    queues = package.of_type("AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    refusing = set()
    for policy in package.of_type("AWS::SQS::QueuePolicy").values():
        (statement,) = policy["PolicyDocument"]["Statement"]
        (queue,) = policy["Queues"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert (statement["Action"], statement["Resource"]) == (
            "sqs:*",
            {"Fn::GetAtt": [queue["Ref"], "Arn"]},
        )
        refusing.add(queue["Ref"])
    assert refusing == queues.keys()


def test_only_the_queues_of_tasks_may_dead_letter_into_the_dead_letter_queue(
    package: Packaged,
) -> None:
    queues = package.of_type("AWS::SQS::Queue")
    allowed = queues["TasksDeadLetterQueue"]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    arns = [source["Fn::Sub"] for source in allowed["sourceQueueArns"]]
    found = sorted(arn.rpartition(":")[2] for arn in arns)
    assert found == sorted(queues[name]["QueueName"] for name in sources_of(package))


def test_the_mapping_reports_partial_batches_and_is_bounded(package: Packaged) -> None:
    mappings = package.of_type("AWS::Lambda::EventSourceMapping")
    arns = {one["EventSourceArn"]["Fn::Sub"]: one for one in mappings.values()}
    fed = {arn.removeprefix("${").removesuffix(".Arn}"): one for arn, one in arns.items()}
    assert fed.keys() == sources_of(package)
    for one in fed.values():
        assert one["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        largest = package.stage == "tokens"
        assert one["BatchSize"] == (10_000 if largest else SETTINGS.batch_size)
    bounded = {"MaximumConcurrency": SETTINGS.maximum_concurrency}
    if has_high(package):
        assert fed["TasksHighQueue"]["ScalingConfig"] == bounded
    mapping = fed["TasksQueue"]
    # One or the other, says AWS Lambda Developer Guide, "Configuring scaling behavior for SQS
    # event source mappings".
    if package.stage == "every":
        assert mapping["ProvisionedPollerConfig"] == {"MinimumPollers": 3, "MaximumPollers": 20}
        assert "ScalingConfig" not in mapping
    else:
        assert mapping["ScalingConfig"] == bounded
        assert "ProvisionedPollerConfig" not in mapping


def test_there_is_one_door_and_it_is_regional_traced_and_throttled(package: Packaged) -> None:
    (stage,) = package.of_type("AWS::ApiGateway::Stage").values()
    (deployment,) = package.of_type("AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment  # it would be a second stage, which nothing throttles
    assert stage["TracingEnabled"] is True
    (every,) = stage["MethodSettings"]
    assert (every["ResourcePath"], every["HttpMethod"]) == ("/*", "*")
    assert every["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert every["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}
    (api,) = package.of_type("AWS::ApiGateway::RestApi").values()
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["Name"] == f"tasks-{package.stage}"


def test_the_sweepers_tick_is_not_repeated_by_lambda(package: Packaged) -> None:
    (config,) = package.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert config["FunctionName"] == {"Ref": "Sweeper"}
    assert config["MaximumRetryAttempts"] == 0


def test_an_alarm_watches_each_thing_that_has_to_go_on(package: Packaged) -> None:
    alarms = package.of_type("AWS::CloudWatch::Alarm")
    watched = {(watched_metric(one), watches(one)) for one in alarms.values()}
    high = {
        ("ApproximateAgeOfOldestMessage", "TasksHighQueue"),
        ("Errors", "WorkerHigh"),
        ("Throttles", "WorkerHigh"),
    }
    assert watched - high == {
        ("ApproximateNumberOfMessagesVisible", "TasksDeadLetterQueue"),
        ("ApproximateAgeOfOldestMessage", "TasksQueue"),
        ("Errors", "Worker"),
        ("Throttles", "Worker"),
        ("5XXError", f"tasks-{package.stage}"),
        ("Invocations", "Sweeper"),
        ("Errors", "Sweeper"),
        ("OutboxLag", package.stage),
        ("Completed Failed", package.stage),
    }
    assert watched & high == (high if has_high(package) else set())
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"]
        assert alarm["AlarmActions"]["Fn::If"][0] == "HasAlarmTopic"
        assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]
        silence = "breaching" if alarm.get("MetricName") == "Invocations" else "notBreaching"
        assert alarm["TreatMissingData"] == silence


def sources(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an alarm watches: one metric, or those that its expression is made of."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def watched_metric(alarm: dict[str, Any]) -> str:
    return " ".join(source["MetricName"] for source in sources(alarm))


def watches(alarm: dict[str, Any]) -> str:
    """Return the first dimension's value, a resource by its logical id."""
    value = sources(alarm)[0]["Dimensions"][0]["Value"]
    if isinstance(value, str):
        return value
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


def test_a_task_that_waits_for_its_second_message_is_not_alarming(package: Packaged) -> None:
    alarm = package.of_type("AWS::CloudWatch::Alarm")["OutboxLagAlarm"]
    assert alarm["Threshold"] > 2 * SETTINGS.dispatch_grace + alarm["Period"]


def test_the_dashboard_is_text_with_names_of_this_stage_alone(package: Packaged) -> None:
    (dashboard,) = package.of_type("AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["DashboardBody"]["Fn::Sub"])
    assert dashboard["DashboardName"] == f"tasks-{package.stage}"
    assert set(re.findall(r"\$\{(.+?)\}", json.dumps(body))) == {
        "AWS::Region",
        "AWS::Partition",
        "AWS::AccountId",
    }
    (alarms,) = (one["properties"]["alarms"] for one in body["widgets"] if one["type"] == "alarm")
    names = {one["AlarmName"] for one in package.of_type("AWS::CloudWatch::Alarm").values()}
    assert {arn.rpartition(":")[2] for arn in alarms} == names
    functions = {one["FunctionName"] for one in package.of_type("AWS::Lambda::Function").values()}
    queues = {one["QueueName"] for one in package.of_type("AWS::SQS::Queue").values()}
    shown = [metric for one in body["widgets"] for metric in one["properties"].get("metrics", ())]
    assert {metric[3] for metric in shown if metric[0] == "AWS/Lambda"} <= functions
    assert {metric[3] for metric in shown if metric[0] == "AWS/SQS"} == queues


def test_each_function_is_told_its_stage_whatever_is_configured(package: Packaged) -> None:
    for function in package.of_type("AWS::Lambda::Function").values():
        told = function["Environment"]["Variables"]
        assert told["METRICS_STAGE"] == package.stage
        assert (told.get("METRICS") == "emf") == (package.stage in {"prod", "test"})


def test_a_messages_age_is_alarming_only_beyond_delays_and_retries(package: Packaged) -> None:
    alarm = package.of_type("AWS::CloudWatch::Alarm")["OldMessageAlarm"]
    retries = sum(SETTINGS.retry_delay * 2**n * 1.25 for n in range(SETTINGS.attempt_limit - 1))
    attempts = SETTINGS.attempt_limit * SETTINGS.worker_timeout
    assert alarm["Threshold"] > SETTINGS.send_ahead + retries + attempts
