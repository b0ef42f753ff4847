"""Events as API Gateway and SQS send them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

TRACE_ID = "1-5759e988-bd862e3fe1be46a994272793"
TRACE = f"Root={TRACE_ID};Parent=53995c3f42cd8ad8;Sampled=1"


def rest(
    method: str, route: str, body: Any = None, *, key: str = "", **parameters: str
) -> dict[str, Any]:
    """Return the event for a request, as a REST API's proxy integration sends it."""
    path = route.format(**parameters)
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
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
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "a test"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def batch(*bodies: str) -> dict[str, Any]:
    """Return the event for messages with these bodies; their ids are m0, m1 and so on."""
    return {"Records": [_record(number, body) for number, body in enumerate(bodies)]}


def _record(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"receipt-{number}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
        "awsRegion": "us-east-1",
    }
