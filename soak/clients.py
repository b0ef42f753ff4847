"""The clients: post tasks over HTTP until each is acknowledged, and write down what was said."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any

from localdev.processes import HOST

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 8
PATIENCE = 10  # seconds that an answer may take
PAUSE = 0.1  # seconds before a task is posted again
CANCELLED = 100  # one task in so many is cancelled as soon as it was created


@dataclass(frozen=True)
class Plan:
    """How many tasks to post, at most so many a second; ``cancel``: and to cancel some."""

    tasks: int
    rate: float
    folder: Path
    cancel: bool


@dataclass(frozen=True)
class Answers:
    """All that the clients were told so far; times in seconds.

    ``cancelled`` are those tasks of ``ids`` that were said to be cancelled.
    """

    ids: list[int]
    cancelled: list[int]
    statuses: dict[str, int]
    slowest: float  # of those that said 201


def read_answers(folder: Path) -> Answers:
    """Return what the clients have written down."""
    answers = Answers([], [], Counter(), 0.0)
    slowest = 0.0
    for path in sorted(folder.glob("answers.*")):
        whole, _, _ = path.read_text().rpartition("\n")
        for line in whole.splitlines():
            asked, status, seconds, *task = line.split()
            answers.statuses[f"{asked} {status}"] += 1
            if task and asked == "create":
                answers.ids.append(int(task[0]))
                slowest = max(slowest, float(seconds))
            elif task:
                answers.cancelled.append(int(task[0]))
    return replace(answers, statuses=dict(sorted(answers.statuses.items())), slowest=slowest)


def post_all(number: int, port: int, plan: Plan) -> None:
    """Post what ``plan`` says, and end.

    Every answer becomes a line in its ``folder``/answers.*: what was asked, the status or "broken",
    the seconds it took, and the task's id if it was created or cancelled.
    """
    clients = [
        Client(port, plan.folder / f"answers.{number}-{thread}", cancel=plan.cancel)
        for thread in range(min(THREADS, plan.tasks))
    ]
    threads = [
        threading.Thread(
            target=client.post, args=(range(first, plan.tasks, THREADS), THREADS / plan.rate)
        )
        for first, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Client:
    """One client with one connection."""

    def __init__(self, port: int, log: Path, *, cancel: bool) -> None:
        """Take the API's port and the file to write answers to."""
        self._connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        self._log: IO[str] = log.open("a", buffering=1)
        self._cancel = cancel

    def post(self, titles: range, period: float) -> None:
        """Post a task for each title, one every ``period`` seconds, until it is acknowledged."""
        begun = time.monotonic()
        for count, title in enumerate(titles):
            time.sleep(max(0.0, begun + count * period - time.monotonic()))
            body = {"title": f"soak {title}", "description": "a task of the soak", "kind": "soak"}
            while (task := self._ask("create", "/tasks", body, HTTPStatus.CREATED)) is None:
                time.sleep(PAUSE)
            if self._cancel and title % CANCELLED == 0:
                self._ask("cancel", f"/tasks/{task['id']}/cancel", None, HTTPStatus.OK)

    def _ask(self, what: str, path: str, body: Any, wanted: HTTPStatus) -> dict[str, Any] | None:
        begun = time.monotonic()
        try:
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", path, body and json.dumps(body), headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._log.write(f"{what} broken {time.monotonic() - begun:.3f}\n")
            return None
        task: dict[str, Any] | None = json.loads(text) if answer.status == wanted else None
        done = task and (what == "create" or task["status"] == "cancelled")
        told = f" {task['id']}" if task and done else ""
        self._log.write(f"{what} {answer.status:d} {time.monotonic() - begun:.3f}{told}\n")
        return task
