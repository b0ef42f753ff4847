"""The clients: post tasks over HTTP until each is acknowledged, and write down what was said."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any

from localdev.processes import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

THREADS = 8
PATIENCE = 10  # seconds that an answer may take
PAUSE = 0.1  # seconds before a task is posted again
CANCELLED = 100  # one task in so many is cancelled as soon as it was created
BATCHES = 0.1  # the share of the requests that create many tasks at once
LARGEST = 100  # tasks in a batch


@dataclass(frozen=True)
class Plan:
    """How many tasks to post, at most so many a second, and none while ``hold`` is set.

    ``hold`` is a value that other processes share. ``whole`` is said of an API that knows batches
    and cancelling; ``seed`` is that of the batches' sizes.
    """

    tasks: int
    rate: float
    folder: Path
    whole: bool
    seed: int
    hold: Any


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
            asked, status, seconds, *ids = line.split()
            answers.statuses[f"{asked} {status}"] += 1
            if asked == "cancel":
                answers.cancelled.extend(map(int, ids))
            elif ids:
                answers.ids.extend(map(int, ids))
                slowest = max(slowest, float(seconds))
    return replace(answers, statuses=dict(sorted(answers.statuses.items())), slowest=slowest)


def post_all(number: int, port: int, plan: Plan) -> None:
    """Post what ``plan`` says, and end.

    Every answer becomes a line in its ``folder``/answers.*: what was asked, the status or "broken",
    the seconds it took, and the ids of the tasks that were created or cancelled.
    """
    clients = [Client(port, plan, number, thread) for thread in range(min(THREADS, plan.tasks))]
    threads = [
        threading.Thread(target=client.post, args=(range(first, plan.tasks, THREADS),))
        for first, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Client:
    """One client with one connection."""

    def __init__(self, port: int, plan: Plan, number: int, thread: int) -> None:
        """Take the API's port, what is to be posted, and what the client is called by."""
        self._connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        log = plan.folder / f"answers.{number}-{thread}"
        self._log: IO[str] = log.open("a", buffering=1)
        self._plan = plan
        self._dice = random.Random(f"{plan.seed}:{thread}")

    def post(self, titles: range) -> None:
        """Post a task for each title, some at once, each until it is acknowledged."""
        begun, posted = time.monotonic(), 0
        for some in self._groups(titles):
            due = begun + posted * THREADS / self._plan.rate
            time.sleep(max(0.0, due - time.monotonic()))
            while self._plan.hold.value:
                time.sleep(PAUSE)
            while not (tasks := self._create(some)):
                time.sleep(PAUSE)
            posted += len(some)
            for title, task in zip(some, tasks, strict=True):
                if self._plan.whole and title % CANCELLED == 0:
                    self._ask("cancel", f"/tasks/{task['id']}/cancel", None, HTTPStatus.OK)

    def _groups(self, titles: range) -> Iterator[Sequence[int]]:
        left = iter(titles)
        while True:
            several = self._plan.whole and self._dice.random() < BATCHES
            some = list(itertools.islice(left, self._dice.randint(2, LARGEST) if several else 1))
            if not some:
                return
            yield some

    def _create(self, titles: Sequence[int]) -> list[dict[str, Any]]:
        bodies = [
            {"title": f"soak {title}", "description": "a task of the soak", "kind": "soak"}
            for title in titles
        ]
        if len(bodies) == 1:
            return self._ask("create", "/tasks", bodies[0], HTTPStatus.CREATED)
        return self._ask("batch", "/tasks/batch", {"tasks": bodies}, HTTPStatus.CREATED)

    def _ask(self, what: str, path: str, body: Any, wanted: HTTPStatus) -> list[dict[str, Any]]:
        begun = time.monotonic()
        try:
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", path, body and json.dumps(body), headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._log.write(f"{what} broken {time.monotonic() - begun:.3f}\n")
            return []
        told = json.loads(text) if answer.status == wanted else {"items": []}
        tasks: list[dict[str, Any]] = told.get("items", [told])
        done = [task for task in tasks if what != "cancel" or task["status"] == "cancelled"]
        words = [what, f"{answer.status:d}", f"{time.monotonic() - begun:.3f}"]
        self._log.write(" ".join([*words, *(str(task["id"]) for task in done)]) + "\n")
        return tasks
