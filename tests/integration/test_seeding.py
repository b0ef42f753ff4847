from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localdev import parts, seed
from localdev.errors import StackError
from localdev.parts import refuse_aws
from localdev.processes import ROOT
from localdev.sqs import SqsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = seed.Plan("tasks", "tasks-dlq", visibility_timeout=360, max_receive_count=3)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with SqsServer(log=tmp_path_factory.mktemp("sqs") / "log") as server:
        yield server.endpoint


@pytest.fixture
def client(endpoint: str) -> Any:
    return seed.make_client(endpoint, "us-east-1")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "localdev", "seed", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=kept | environ,
        timeout=60,
    )


def attributes(client: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return found


def test_the_queues_are_as_planned(client: Any) -> None:
    queues = seed.seed(client, PLAN)
    main, dead = (attributes(client, url) for url in (queues.url, queues.dead_letter_url))
    assert json.loads(main["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": 3,
    }
    assert main["VisibilityTimeout"] == "360"
    assert main["ReceiveMessageWaitTimeSeconds"] == "20"
    assert main["MessageRetentionPeriod"] == str(4 * 24 * 3600)
    assert dead["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert main["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"


def test_seeding_again_mends_what_was_changed_and_keeps_the_messages(client: Any) -> None:
    queues = seed.seed(client, PLAN)
    client.set_queue_attributes(QueueUrl=queues.url, Attributes={"VisibilityTimeout": "1"})
    client.send_message(QueueUrl=queues.url, MessageBody="kept")
    assert seed.seed(client, PLAN) == queues
    found = attributes(client, queues.url)
    assert found["VisibilityTimeout"] == "360"
    assert found["ApproximateNumberOfMessages"] == "1"


def test_an_attribute_that_the_server_does_not_know_is_a_warning(
    client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = client.set_queue_attributes

    def picky(QueueUrl: str, Attributes: dict[str, str]) -> Any:  # noqa: N803
        if {"RedriveAllowPolicy", "SqsManagedSseEnabled"} & set(Attributes):
            error: Any = {"Error": {"Code": "InvalidAttributeName", "Message": "unknown"}}
            raise ClientError(error, "SetQueueAttributes")
        return real(QueueUrl=QueueUrl, Attributes=Attributes)

    monkeypatch.setattr(client, "set_queue_attributes", picky)
    queues = seed.seed(client, PLAN)
    assert attributes(client, queues.url)["VisibilityTimeout"] == "360"
    assert "does not know RedriveAllowPolicy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "https://sqs.us-east-1.amazonaws.com",
        "https://sqs.us-east-1.amazonaws.com.",
        "https://SQS.US-EAST-1.AmazonAWS.com",
        "https://amazonaws.com:443/x",
        "https://user:password@sqs.us-east-1.amazonaws.com",
        "https://sqs.us-east-1.api.aws",
        "https://sqs.cn-north-1.amazonaws.com.cn",
        "https://sqs.cn-north-1.api.amazonwebservices.com.cn",
        "https://sqs.us-iso-east-1.c2s.ic.gov",
        "https://sqs.eusc-de-east-1.amazonaws.eu",
        "https://sqs.us-east-1.amazonaws\u3002com",
        "https://sqs.us-east-1.amazonaws\uff0ecom",
        "https://sqs.us-east-1.amazonaws\uff61com",
        "https://sqs.us-east-1.\uff41mazonaws.com",
        "https://sqs.us-east-1.amazon\u00adaws.com",
        "sqs.us-east-1.amazonaws.com",
    ],
)
def test_aws_itself_is_refused(endpoint: str | None) -> None:
    with pytest.raises(StackError, match=r"AWS itself.*; the cure"):
        refuse_aws(endpoint, "the cure")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:4566",
        "http://[::1]:4566",
        "http://my_sqs:4566/x",
        "https://amazonaws.com.example",
        "https://notamazonaws.com",
        "http://sqs.us-east-1.localhost.localstack.cloud:4566",
        "",
    ],
)
def test_any_other_endpoint_is_taken(endpoint: str) -> None:
    refuse_aws(endpoint)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:14566", "localhost:4566"])
def test_an_endpoint_without_a_scheme_is_told_to_have_one(endpoint: str) -> None:
    with pytest.raises(StackError, match="write http:// before it") as caught:
        refuse_aws(endpoint)
    assert "AWS itself" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://",
        "ftp://127.0.0.1",
        "http://sqs.amazonaws.com\\@127.0.0.1",
        "http://a b",
        "http://a..b",
    ],
)
def test_an_endpoint_that_may_be_read_in_two_ways_is_refused(endpoint: str) -> None:
    with pytest.raises(StackError, match="no URL"):
        refuse_aws(endpoint)


def test_no_setting_lets_a_client_pass_over_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    values = parts.settings(theirs, "postgresql://", "http://127.0.0.1:9")
    for name, value in parts.environ_of_parts(theirs, values).items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("sqs")
    assert client.meta.endpoint_url == "http://127.0.0.1:9"


def test_the_command_prints_both_urls(endpoint: str) -> None:
    done = run(AWS_ENDPOINT_URL_SQS=endpoint, QUEUE_NAME="from-environment")
    names = [line.split("=")[0] for line in done.stdout.splitlines()]
    assert (done.returncode, names) == (0, ["QUEUE_URL", "DEAD_LETTER_QUEUE_URL"])
    assert done.stdout.splitlines()[0].endswith("/from-environment")
    assert done.stdout.splitlines()[1].endswith("/from-environment-dlq")


def test_a_flag_wins_over_the_environment(endpoint: str, client: Any) -> None:
    done = run(
        "--queue=by-flag", "--max-receive-count=9", AWS_ENDPOINT_URL_SQS=endpoint, QUEUE_NAME="x"
    )
    url = done.stdout.splitlines()[0].removeprefix("QUEUE_URL=")
    assert json.loads(attributes(client, url)["RedrivePolicy"])["maxReceiveCount"] == 9


def test_the_command_refuses_to_run_without_an_endpoint() -> None:
    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("no AWS_ENDPOINT_URL_SQS is set, which means AWS itself;")
    assert "--aws" in done.stderr


@pytest.mark.parametrize("endpoint", ["https://sqs.us-east-1.api.aws", ""])
def test_the_command_refuses_aws_by_flag_too(endpoint: str) -> None:
    done = run(f"--endpoint-url={endpoint}")
    assert done.returncode == 1
    assert "AWS itself" in done.stderr


def test_a_server_that_does_not_come_is_waited_for_and_then_named() -> None:
    done = run("--wait=0.3", AWS_ENDPOINT_URL_SQS="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "waiting for SQS at http://127.0.0.1:9" in done.stderr
    assert "no SQS at http://127.0.0.1:9 after 0.3 s" in done.stderr
    assert "Traceback" not in done.stderr
