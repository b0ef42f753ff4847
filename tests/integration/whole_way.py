"""Takes tasks their whole way through the app that is to be imported, by its doors only.

Run as a program, since the code may be another release's: nothing of ours is imported but `app`,
and only what clients and Lambda use is called.
"""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import boto3
from chalice.test import Client

import app

NOW = types.SimpleNamespace(
    aws_request_id="one",
    function_name="tasks-test-worker",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:tasks-test-worker",
    memory_limit_in_mb="1024",
    get_remaining_time_in_millis=lambda: 50_000,
)


def call(method: str, path: str, status: int, body: dict[str, Any] | None = None) -> Any:
    sent = b"" if body is None else json.dumps(body).encode()
    with Client(app.app) as client:
        headers = {"Content-Type": "application/json"}
        answer = client.http.request(method, path, headers=headers, body=sent)
    told = f"{method} {path}: {answer.status_code} {answer.body!r}"
    assert answer.status_code == status, told
    return answer.json_body if answer.body else None


def deliver(sqs: Any, queue: str) -> None:
    """Give the worker what is in the queue, as Lambda would."""
    got = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )
    records = [
        {
            "messageId": one["MessageId"],
            "receiptHandle": one["ReceiptHandle"],
            "body": one["Body"],
            "attributes": one["Attributes"],
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
            "awsRegion": "us-east-1",
        }
        for one in got.get("Messages", ())
    ]
    assert records, "nothing was sent"
    kept = app.work({"Records": records}, NOW)
    assert kept == {"batchItemFailures": []}, kept


def main(queue_name: str) -> None:
    """Go the way; raises AssertionError where it ends early."""
    sqs = boto3.client("sqs")
    queue = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    call("GET", "/readyz", 200)
    made = call("POST", "/tasks", 201, {"title": "One", "payload": {"colours": ["red"]}})
    deliver(sqs, queue)
    done = call("GET", f"/tasks/{made['id']}", 200)
    assert (done["status"], done["payload"]) == ("completed", {"colours": ["red"]}), done
    late = call("POST", "/tasks", 201, {"title": "Late", "delay_seconds": 3600})
    assert call("POST", f"/tasks/{late['id']}/cancel", 200)["status"] == "cancelled"
    assert call("POST", f"/tasks/{late['id']}/retry", 200)["status"] == "pending"
    event = {"detail": {"queue_lost": True}, "detail-type": "", "source": "", "time": ""}
    event |= {"account": "", "region": "", "resources": [], "version": "0", "id": ""}
    app.sweep(event, NOW)
    deliver(sqs, queue)
    assert call("GET", f"/tasks/{late['id']}", 200)["status"] == "completed"
    listed = call("GET", "/tasks", 200)
    assert {made["id"], late["id"]} <= {one["id"] for one in listed["items"]}
    call("DELETE", f"/tasks/{made['id']}", 204)
    call("GET", f"/tasks/{made['id']}", 404)


if __name__ == "__main__":
    main(sys.argv[1])
