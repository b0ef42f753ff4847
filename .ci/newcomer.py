"""Start the stack as a newcomer would, post a task, watch it complete, and stop the stack."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request

PORT = 8765
TASK = {"title": "Process User Data", "description": "Extract and transform"}


def call(path: str, body: object = None) -> dict[str, object]:
    """Send a request (a POST if there is a body) and return the JSON answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return dict(json.load(answer))


def watch(task_id: object) -> dict[str, object]:
    """Return the task once it is finished, at the latest after two seconds."""
    deadline = time.monotonic() + 2
    while True:
        task = call(f"/tasks/{task_id}")
        if task["status"] == "completed" or time.monotonic() > deadline:
            return task
        time.sleep(0.05)


def main() -> int:
    """Return 0 when everything went as the README says."""
    stack = subprocess.Popen(
        ["scripts/dev.sh", "--port", str(PORT)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout  # noqa: S101
    for line in stack.stdout:
        sys.stdout.write(line)
        if line.strip() == f"ready http://127.0.0.1:{PORT}":
            break
    else:
        return 1
    task = watch(call("/tasks", TASK)["id"])
    sys.stdout.write(json.dumps(task) + "\n")
    stack.send_signal(signal.SIGTERM)
    stack.stdout.read()
    stopped = stack.wait(30) == 0
    good = str(task["result"]).startswith("Processed task 'Process User Data' at ")
    good = good and str(task["result"]).endswith(" with description: Extract and transform")
    return 0 if task["status"] == "completed" and good and stopped else 1


if __name__ == "__main__":
    sys.exit(main())
