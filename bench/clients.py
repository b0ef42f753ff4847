"""Clients that post, each as fast as it is answered."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from bench import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

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
    body = json.dumps(events.body(together)).encode()
    path = "/tasks" if together == 1 else "/tasks/batch"

    @contextlib.contextmanager
    def client() -> Iterator[Callable[[], int]]:
        with contextlib.closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as door:
            yield lambda: _status(door, path, body)

    return ask(client, clients, posts)


def ask(
    client: Callable[[], AbstractContextManager[Callable[[], int]]], clients: int, posts: int
) -> Posted:
    """Let so many clients ask so often between them; each gives what asks once, for a status."""
    seen, lock, turns = Posted(), threading.Lock(), _turns(posts)

    def run() -> None:
        with client() as once:
            while True:
                with lock:
                    if not next(turns, False):
                        return
                begun = time.perf_counter()
                status = once()
                taken = time.perf_counter() - begun
                with lock:
                    seen.times.append(taken)
                    seen.statuses.append(status)

    threads = [threading.Thread(target=run) for _ in range(clients)]
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
