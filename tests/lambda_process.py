"""A Lambda function in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from localdev import processes

PROGRAM = Path(__file__).with_name("lambda_program.py")
#: What tells software that it runs in Lambda.
MARKS = {"LAMBDA_TASK_ROOT": "/var/task", "AWS_LAMBDA_FUNCTION_NAME": "tasks"}


class LambdaProcess:
    """Runs the app's functions, one invocation after another; ``said`` are its log lines."""

    def __init__(self, **environ: str) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env=processes.python_environ({**os.environ, **MARKS, **environ}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, function: str, event: Any, trace: str) -> Any:
        """Return what the function returns; ``trace`` is the header that Lambda hands it."""
        assert self._process.stdin
        assert self._process.stdout
        asked = json.dumps({"function": function, "event": event, "trace": trace})
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("reply "):
                reply = json.loads(line.removeprefix("reply "))
                assert "reply" in reply, reply
                return reply["reply"]
            self.said.append(line)
        raise AssertionError("\n".join(["The process ended.", *self.said]))

    def post(self, task: dict[str, Any], trace: str, **headers: str) -> Any:
        """Create a task over HTTP and return the answer."""
        return self._request("POST", "/tasks", json.dumps(task), headers, trace)

    def post_many(self, tasks: list[dict[str, Any]], trace: str, **headers: str) -> Any:
        """Create tasks over HTTP in one request and return the answer."""
        return self._request("POST", "/tasks/batch", json.dumps({"tasks": tasks}), headers, trace)

    def get(self, resource: str, number: int, trace: str, **headers: str) -> Any:
        """Ask for what lies at ``resource`` of a task."""
        return self._request("GET", resource, "", headers, trace, task_id=str(number))

    def close(self) -> None:
        with self._process:  # without a line to read, it ends
            pass

    def _request(
        self,
        method: str,
        resource: str,
        body: str,
        headers: dict[str, str],
        trace: str,
        **path: str,
    ) -> Any:
        told = headers | {"Content-Type": "application/json"}
        event = proxy_event(method, resource, body, told, path)
        answer = self.invoke("api", event, trace)
        assert answer["statusCode"] < 300, answer
        return json.loads(answer["body"])


def proxy_event(
    method: str, resource: str, body: str, headers: dict[str, str], path: dict[str, str]
) -> dict[str, Any]:
    """Return the event that API Gateway makes of a request.

    Source: Amazon API Gateway Developer Guide, "Lambda proxy integrations".
    """
    return {
        "resource": resource,
        "path": resource.format(**path),
        "httpMethod": method,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "multiValueQueryStringParameters": None,
        "pathParameters": path,
        "stageVariables": None,
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": resource.format(**path),
            "requestId": "request-1",
            "identity": {"sourceIp": "127.0.0.1"},
        },
    }
