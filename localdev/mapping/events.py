"""The events Lambda makes: from SQS messages, and from the clock."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACCOUNT = "000000000000"


def sqs_event(messages: Iterable[Mapping[str, Any]], arn: str, region: str) -> dict[str, Any]:
    """Return the event for a batch of messages as boto3 received them, from queue ``arn``."""
    return {"Records": [_record(message, arn, region) for message in messages]}


def scheduled_event(function: str, region: str) -> dict[str, Any]:
    """Return the event with which EventBridge invokes a scheduled function, now."""
    rule = f"arn:aws:events:{region}:{ACCOUNT}:rule/{function}"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [rule],
        "detail": {},
    }


def trace_header() -> str:
    """Return a new value for ``_X_AMZN_TRACE_ID``, as Lambda sets it for each invocation."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=1"


def _record(message: Mapping[str, Any], arn: str, region: str) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in attributes.items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if "StringValue" in value:
        result["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        result["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return result | {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
