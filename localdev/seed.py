"""Creates the queues and their dead-letter queue at an SQS endpoint; safe to run again."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localdev.errors import StackError
from localdev.parts import checked_settings, refuse_aws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.settings import Settings

DAY = 24 * 60 * 60
RETENTION = 4 * DAY
DEAD_LETTER_RETENTION = 14 * DAY
LONG_POLL = 20  # seconds, the most that SQS knows

_CURE = (
    "deployment makes the queues there; set AWS_ENDPOINT_URL_SQS to a local server, or give --aws "
    "if you mean it"
)
_EPILOG = """\
environment (a flag wins):
  QUEUE_NAME            interview-queue; the dead-letter queue is the same name with -dlq
  PRIORITY_QUEUE        off; with on there is one for high priority, the same name with -high
  AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL   where SQS is
  AWS_DEFAULT_REGION    us-east-1
  WORKER_TIMEOUT        60 seconds; the visibility timeout is six times that
  MAX_RECEIVE_COUNT     3
"""


@dataclass(frozen=True)
class Plan:
    """What the queues shall be; times are seconds. ``high_queue`` is empty if there is none."""

    queue: str
    dead_letter_queue: str
    visibility_timeout: int
    max_receive_count: int
    retention: int = RETENTION
    dead_letter_retention: int = DEAD_LETTER_RETENTION
    high_queue: str = ""

    @property
    def sources(self) -> list[str]:
        """The queues whose messages go to the dead-letter queue."""
        return [name for name in (self.queue, self.high_queue) if name]

    @classmethod
    def of(cls, settings: Settings) -> Plan:
        """Return what ``settings`` ask for."""
        return cls(
            settings.queue_name,
            settings.dead_letter_queue_name,
            settings.visibility_timeout,
            settings.max_receive_count,
            high_queue=settings.high_queue_name,
        )


@dataclass(frozen=True)
class Queues:
    """The URLs of the queues, as the server gave them."""

    url: str
    dead_letter_url: str
    high_url: str = ""


def make_client(endpoint: str | None, region: str, **config: Any) -> Any:
    """Return a boto3 SQS client; a local endpoint is never reached through a proxy."""
    local: dict[str, Any] = {}
    if endpoint is not None:
        key = os.environ.get("AWS_ACCESS_KEY_ID", "test")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "test")
        local = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        config = {"proxies": {}, **config}
    return boto3.client(
        "sqs", endpoint_url=endpoint, region_name=region, config=Config(**config), **local
    )


def wait_for(client: Any, seconds: float) -> None:
    """Wait until the server answers ListQueues. Raises StackError after ``seconds``."""
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            client.list_queues(MaxResults=1)
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                message = f"no SQS at {client.meta.endpoint_url} after {seconds:g} s: {error}"
                raise StackError(message) from error
            if not told:
                print(f"waiting for SQS at {client.meta.endpoint_url} …", file=sys.stderr)
                told = True
            time.sleep(0.2)
        else:
            return


def seed(client: Any, plan: Plan) -> Queues:
    """Create the queues unless they exist, and set their attributes in either case."""
    common = {"SqsManagedSseEnabled": "true"}
    dead_url = _get_or_create(client, plan.dead_letter_queue)
    kept = {"MessageRetentionPeriod": str(plan.dead_letter_retention)}
    _set(client, dead_url, kept, optional=common)
    redrive = {
        "deadLetterTargetArn": _arn(client, dead_url),
        "maxReceiveCount": plan.max_receive_count,
    }
    attributes = {
        "VisibilityTimeout": str(plan.visibility_timeout),
        "MessageRetentionPeriod": str(plan.retention),
        "ReceiveMessageWaitTimeSeconds": str(LONG_POLL),
        "RedrivePolicy": json.dumps(redrive),
    }
    urls = [_get_or_create(client, name) for name in plan.sources]
    for url in urls:
        _set(client, url, attributes, optional=common)
    sources = [_arn(client, url) for url in urls]
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": sources}
    _set(client, dead_url, {}, optional={"RedriveAllowPolicy": json.dumps(allow)})
    return Queues(urls[0], dead_url, *urls[1:])


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev seed``."""
    settings = checked_settings(os.environ)
    options = _parser(settings).parse_args(arguments)
    endpoint = options.endpoint_url or None
    if not options.aws:
        refuse_aws(endpoint, _CURE)
    retries = {"total_max_attempts": 1}
    client = make_client(endpoint, options.region, retries=retries, connect_timeout=5)
    wait_for(client, options.wait)
    plan = Plan(
        options.queue,
        options.dead_letter_queue or f"{options.queue}-dlq",
        options.visibility_timeout,
        options.max_receive_count,
        options.retention,
        options.dead_letter_retention,
        f"{options.queue}-high" if settings.priority_queue == "on" else "",
    )
    queues = seed(client, plan)
    print(f"QUEUE_URL={queues.url}\nDEAD_LETTER_QUEUE_URL={queues.dead_letter_url}")
    if queues.high_url:
        print(f"HIGH_QUEUE_URL={queues.high_url}")
    return 0


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev seed",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL")
    add = parser.add_argument
    add("--endpoint-url", default=endpoint, help="where SQS is")
    add("--region", default=settings.aws_region)
    add("--queue", default=settings.queue_name)
    add("--dead-letter-queue", help="the queue's name with -dlq, if not given")
    add("--visibility-timeout", type=int, default=settings.visibility_timeout, help="seconds")
    add("--max-receive-count", type=int, default=settings.max_receive_count)
    add("--retention", type=int, default=RETENTION, help="seconds; default 4 days")
    add("--dead-letter-retention", type=int, default=DEAD_LETTER_RETENTION, help="14 days")
    add("--wait", type=float, default=30, help="seconds to wait for the server; default 30")
    add("--aws", action="store_true", help="allow AWS itself")
    return parser


def _get_or_create(client: Any, name: str) -> str:
    # Creating an existing queue with other attributes is an error; without any it is not always.
    try:
        return str(client.get_queue_url(QueueName=name)["QueueUrl"])
    except client.exceptions.QueueDoesNotExist:
        return str(client.create_queue(QueueName=name)["QueueUrl"])


def _arn(client: Any, url: str) -> str:
    # The account in it differs from server to server.
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def _set(client: Any, url: str, attributes: dict[str, str], optional: dict[str, str]) -> None:
    try:
        client.set_queue_attributes(QueueUrl=url, Attributes=attributes | optional)
    except ClientError as error:
        names = ", ".join(optional)
        print(f"warning: this server does not know {names}: {error}", file=sys.stderr)
        if attributes:
            client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
