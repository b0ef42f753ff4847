"""Clients that post, each as fast as it is answered."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bench import events

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that a client waits for an answer; and after how many no more is posted.
PATIENCE, LONGEST = 40, 10
_HEADERS = {"Content-Type": "application/json"}
NO_ANSWER = 0


@dataclass
class Posted:
    """What clients saw: seconds until each answer, and its status (0: there was none)."""

    times: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def created(self) -> int:
        """How many were answered with 201."""
        return self.statuses.count(HTTPStatus.CREATED)

    @property
    def broken(self) -> int:
        """How many were answered with an error of the server's, or not at all."""
        return sum(s == NO_ANSWER or s >= HTTPStatus.INTERNAL_SERVER_ERROR for s in self.statuses)


def post(address: str, clients: int, posts: int, together: int) -> Posted:
    """Let so many clients post so often between them, ``together`` tasks in a POST."""
    seen, lock = Posted(), threading.Lock()
    body = json.dumps(_body(together)).encode()
    path = "/tasks" if together == 1 else "/tasks/batch"
    turns = _turns(posts)

    def client() -> None:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        while True:
            with lock:
                if not next(turns, False):
                    break
            begun = time.perf_counter()
            status = _status(connection, path, body)
            taken = time.perf_counter() - begun
            with lock:
                seen.times.append(taken)
                seen.statuses.append(status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _turns(posts: int) -> Iterator[bool]:
    last = time.monotonic() + LONGEST
    for _ in range(posts):
        if time.monotonic() > last:
            return
        yield True


def _status(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    try:
        connection.request("POST", path, body, _HEADERS)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return NO_ANSWER
    return answer.status


def _body(together: int) -> Any:
    if together == 1:
        return events.task(1)
    return {"tasks": [events.task(number) for number in range(together)]}
