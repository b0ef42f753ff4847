"""The app as Lambda runs it, invoked line by line: ``{"function", "event", "trace"}``."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from chalicelib.registry import handler
from tests.fakes import FakeContext


@handler("bad")
def bad(task: Any, context: Any) -> Any:  # noqa: ARG001
    raise ValueError(task.title)


@handler("busy")
def busy(task: Any, context: Any) -> str:
    """Do what handlers do: tell that it lives, and call AWS, in vain."""
    import boto3

    context.heartbeat()
    client = boto3.client("sqs", region_name="us-east-1")
    try:
        client.get_queue_url(QueueName=task.title)
    except client.exceptions.QueueDoesNotExist:
        return "done"
    finally:
        client.close()
    return "found"


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ["_X_AMZN_TRACE_ID"] = asked["trace"]
        app = importlib.import_module("app").app
        function = app if asked["function"] == "api" else app.handler_map[asked["function"]]
        context = FakeContext()
        context.function_name = f"tasks-{asked['function']}"
        try:
            reply = {"reply": function(asked["event"], context)}
        except Exception as error:  # noqa: BLE001  (whatever it is, Lambda is told)
            reply = {"raised": type(error).__name__, "text": str(error)}
        sys.stdout.write(f"reply {json.dumps(reply)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
