"""Events as API Gateway and SQS send them; needs nothing but Python."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

#: What Lambda gives an invocation, in seconds.
_LIMIT = 60


class Context:
    """What Lambda passes beside an event."""

    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = "1024"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    log_group_name = "/aws/lambda/bench"
    log_stream_name = "local"

    def __init__(self) -> None:
        """Begin an invocation."""
        self._deadline = time.monotonic() + _LIMIT

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the invocation."""
        return int((self._deadline - time.monotonic()) * 1000)


def request(
    method: str, route: str, body: Any = None, *, key: str = "", **parameters: str
) -> dict[str, Any]:
    """Return the event for a request, as a REST API's proxy integration sends it."""
    path = route.format(**parameters)
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/api{path}",
            "stage": "api",
            "requestId": Context.aws_request_id,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "bench"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def messages(ids: list[int]) -> dict[str, Any]:
    """Return the event for the messages of these tasks, each received for the first time."""
    return {"Records": [_record(number) for number in ids]}


def task(number: int) -> dict[str, Any]:
    """Return what is sent for a task, by all alike."""
    return {"title": f"Task {number}", "description": "What every task says."}


def body(together: int) -> dict[str, Any]:
    """Return what a POST of so many tasks has: one by itself, more as a batch."""
    if together == 1:
        return task(1)
    return {"tasks": [task(number) for number in range(together)]}


def _record(number: int) -> dict[str, Any]:
    body = json.dumps({"task_id": number, **task(number)})
    now = str(int(time.time() * 1000))
    return {
        "messageId": f"message-{number}",
        "receiptHandle": f"receipt-{number}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": now,
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": now,
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
        "awsRegion": "us-east-1",
    }
