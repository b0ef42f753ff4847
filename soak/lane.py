"""Polls the queue, hands batches to a function, and deletes what is done, as Lambda does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from localdev import seed
from localdev.mapping.events import sqs_event
from localdev.mapping.response import failed_messages
from localdev.mapping.runner import Context

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_POLL = 1  # second
BATCH = 10


def sqs_client(endpoint: str | None = None) -> Any:
    """Return a client that tries once; its endpoint is the service's if none is given."""
    return seed.make_client(
        endpoint or os.environ["AWS_ENDPOINT_URL_SQS"],
        os.environ["AWS_DEFAULT_REGION"],
        connect_timeout=2,
        read_timeout=LONG_POLL + 10,
        retries={"total_max_attempts": 1},
    )


def poll(function: Callable[[dict[str, Any], Context], Any], timeout: float) -> None:
    """Invoke ``function`` with one batch after the other, for ever.

    Unlike Lambda it does not kill what takes longer than ``timeout`` seconds: workers that
    outlive their lease are part of the soak.
    """
    client = sqs_client()
    url = os.environ["SOAK_QUEUE_URL"]
    while True:
        try:
            batch = _receive(client, url)
            if batch and (done := _invoke(function, batch, timeout)):
                client.delete_message_batch(QueueUrl=url, Entries=_entries(done))
        except (BotoCoreError, ClientError):
            time.sleep(0.1)


def _receive(client: Any, url: str) -> list[dict[str, Any]]:
    answer = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=BATCH,
        WaitTimeSeconds=LONG_POLL,
        MessageSystemAttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _invoke(
    function: Callable[[dict[str, Any], Context], Any], batch: list[dict[str, Any]], timeout: float
) -> list[dict[str, Any]]:
    event = sqs_event(batch, os.environ["SOAK_QUEUE_ARN"], os.environ["AWS_DEFAULT_REGION"])
    try:
        reply = function(event, Context("worker", time.monotonic() + timeout))
    except Exception as error:  # noqa: BLE001  (nothing is deleted: the messages come back)
        print(f"invocation failed: {error!r}", flush=True)  # noqa: T201  (its log)
        return []
    failed = failed_messages(reply, [message["MessageId"] for message in batch])
    return [message for message in batch if message["MessageId"] not in failed]


def _entries(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
        for number, message in enumerate(messages)
    ]
