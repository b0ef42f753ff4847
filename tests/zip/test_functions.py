"""Every function of the package does its work on real servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from localdev.mapping.events import scheduled_event, sqs_event
from localdev.mapping.function import InvocationFailed
from tests.traces import Daemon
from tests.zip.events import TRACE, TRACE_ID, batch, rest

if TYPE_CHECKING:
    from localdev.lambda_runtime.sandbox import Sandbox
    from tests.world import Table
    from tests.zip.conftest import Cloud

pytestmark = pytest.mark.timeout(300)

CANARY = "canary-7f3a"
OTHER_TRACE_ID = "1-5759e988-bd862e3fe1be46a994272794"
OTHER_TRACE = f"Root={OTHER_TRACE_ID};Parent=53995c3f42cd8ad9;Sampled=1"


def ask(api: Sandbox, event: dict[str, Any]) -> tuple[int, Any]:
    reply = api.invoke(event, 29, TRACE)
    return reply["statusCode"], json.loads(reply["body"])


def key(cloud: Cloud) -> str:
    asked = {"action": "create", "tenant": "acme", "name": "a test's"}
    scopes = {"scopes": ["tasks:read", "tasks:write"]}
    return str(cloud.start("admin").invoke(asked | scopes, 15, TRACE)["text"])


def message(number: int) -> str:
    return json.dumps({"task_id": number})


def test_a_task_is_posted_worked_and_read_with_a_key_of_the_key_desk(
    cloud: Cloud, table: Table, sqs: Any, queue_name: str
) -> None:
    secret, api = key(cloud), cloud.start("api_handler")
    status, created = ask(api, rest("POST", "/tasks", {"title": "a task"}, key=secret))
    assert (status, created["status"]) == (201, "pending")
    assert table.row(created["id"])["title"] == "a task"
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    [sent] = sqs.receive_message(QueueUrl=url)["Messages"]
    reply = cloud.start("worker").invoke(batch(sent["Body"]), 60, TRACE)
    assert reply == {"batchItemFailures": []}
    one = rest("GET", "/tasks/{task_id}", key=secret, task_id=str(created["id"]))
    status, task = ask(api, one)
    assert (status, task["status"]) == (200, "completed")
    assert task["result"].startswith("Processed task 'a task' at 20")


def test_a_request_without_a_key_is_refused(cloud: Cloud) -> None:
    status, problem = ask(cloud.start("api_handler"), rest("GET", "/tasks"))
    assert (status, problem["status"]) == (401, 401)


def test_a_batch_names_just_the_messages_that_failed(cloud: Cloud, table: Table) -> None:
    good = [table.arrange("pending") for _ in range(2)]
    bad = table.arrange("pending", kind="fails", attempt_limit=1)
    bodies = [message(good[0]), message(bad), "this is no task", message(good[1])]
    reply = cloud.start("worker").invoke(batch(*bodies), 60, TRACE)
    assert {one["itemIdentifier"] for one in reply["batchItemFailures"]} == {"m1", "m2"}
    assert [table.status(number) for number in [*good, bad]] == ["completed"] * 2 + ["failed"]


def test_the_sweeper_sends_what_has_no_message(
    cloud: Cloud, table: Table, sqs: Any, queue_name: str
) -> None:
    number = table.arrange("pending", dispatch_after="-infinity")
    told = cloud.start("sweeper").invoke(scheduled_event("sweeper", "us-east-1"), 55, TRACE)
    assert told["sent"] == 1
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    [sent] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(sent["Body"])["task_id"] == number


def test_an_empty_database_is_migrated(cloud: Cloud, empty_url: str) -> None:
    migrate = cloud.start("migrate", DATABASE_URL=empty_url)
    assert migrate.invoke({}, 300, TRACE)["applied"][0] == "0001_tasks.sql"
    assert migrate.invoke({}, 300, TRACE)["applied"] == []
    connection = psycopg2.connect(empty_url)
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from tasks")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_a_handler_that_overruns_is_interrupted_before_the_deadline(
    cloud: Cloud, table: Table
) -> None:
    number = table.arrange("pending", kind="overruns", attempt_limit=1)
    cloud.start("worker").invoke(batch(message(number)), 3, TRACE)
    row = table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "timeout")


def test_a_handler_sees_the_time_that_the_deadline_leaves(cloud: Cloud, table: Table) -> None:
    number = table.arrange("pending", kind="tells_what_is_left")
    cloud.start("worker").invoke(batch(message(number)), 5000, TRACE)
    assert 4000 < table.row(number)["result"] <= 5000


def test_a_task_is_worked_in_the_trace_of_the_request_that_posted_it(
    cloud: Cloud, sqs: Any, queue_name: str
) -> None:
    daemon = Daemon()
    cloud.more |= {"TRACING": "xray", "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
    api, worker = cloud.start("api_handler"), cloud.start("worker")
    ask(api, rest("POST", "/tasks", {"title": CANARY}, key=key(cloud)))
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    [sent] = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    worker.invoke(sqs_event([sent], "arn:aws:sqs:us-east-1:0:q", "us-east-1"), 60, OTHER_TRACE)
    seen = daemon.take()
    daemon.close()
    [work] = seen.of(TRACE_ID).named("default")
    assert work.notes["attempt"] == 1
    assert seen.of(TRACE_ID).named("insert_tasks")
    assert seen.of(OTHER_TRACE_ID).named("claim_tasks")
    assert not seen.tell(CANARY)


def test_an_error_of_a_function_is_told_and_its_process_goes_on(cloud: Cloud) -> None:
    admin = cloud.start("admin")
    with pytest.raises(InvocationFailed, match=r"^InvalidRequest: "):
        admin.invoke({"action": "fly"}, 15, TRACE)
    assert admin.invoke({"action": "list"}, 15, TRACE) == {"keys": []}


def test_a_process_that_takes_too_long_is_killed(cloud: Cloud, table: Table) -> None:
    number = table.arrange("pending", kind="deaf")
    worker = cloud.start("worker")
    with pytest.raises(InvocationFailed, match="timed out after 2 s and was killed"):
        worker.invoke(batch(message(number)), 2, TRACE)
    assert not worker.alive()
    assert table.status(number) == "processing"
