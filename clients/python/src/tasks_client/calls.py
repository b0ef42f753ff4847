"""The service's calls: one function makes one request, and reads its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks_client import inputs
from tasks_client.models import Attempt, Page, Retried, Task
from tasks_client.stats import Stats
from tasks_client.transport import NOT_MODIFIED, Call, Repeat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks_client.transport import Reply, Transport

JSON = {"Content-Type": "application/json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}  # RFC 7396
FOUND = 200  # where 201 says that a task was created
MOST_LISTED = 100


def create(transport: Transport, body: bytes, key: str, hold: float) -> Task:
    """Create a task."""
    headers = JSON | _key(key) | inputs.held(hold)
    call = Call(method="POST", path="/tasks", headers=headers, body=body, hold=inputs.hold(hold))
    reply = transport.ask(call)
    return _task(reply, existed=reply.status == FOUND)


def create_batch(transport: Transport, body: bytes, key: str) -> list[Task]:
    """Create all tasks of a batch, or none."""
    call = Call(method="POST", path="/tasks/batch", headers=JSON | _key(key), body=body)
    return transport.ask(call).read(lambda raw: [Task.of(item) for item in raw["items"]])


def look(
    transport: Transport, task_id: int, hold: float = 0, seen: Task | None = None
) -> tuple[Task, Reply]:
    """Read a task; the answer is held back while the task is not final and still as ``seen``.

    Returns ``seen`` itself if the service says that it has not changed.
    """
    tag = {"If-None-Match": seen.etag} if seen and seen.etag else {}
    headers = inputs.held(hold) | tag
    call = Call(method="GET", path=_path(task_id), headers=headers, hold=inputs.hold(hold))
    reply = transport.ask(call)
    if seen is not None and reply.status == NOT_MODIFIED:
        return seen, reply
    return _task(reply), reply


def page(transport: Transport, fields: Mapping[str, Any]) -> Page:
    """Read one page of tasks, newest first."""
    return transport.ask(Call(method="GET", path="/tasks", query=inputs.query(fields))).read(
        Page.of
    )


def every(transport: Transport, fields: Mapping[str, Any]) -> Iterator[Task]:
    """Yield tasks, newest first, reading pages as they are needed."""
    cursor: str | None = None
    while True:
        read = page(transport, {**fields, "limit": MOST_LISTED, "cursor": cursor})
        yield from read.items
        cursor = read.next_cursor
        if cursor is None:
            return


def attempts(transport: Transport, task_id: int) -> list[Attempt]:
    """Read a task's attempts, oldest first."""
    reply = transport.ask(Call(method="GET", path=_path(task_id, "/attempts")))
    return reply.read(lambda raw: [Attempt.of(item) for item in raw["items"]])


def stats(transport: Transport, minutes: int) -> Stats:
    """Read how the tasks stand, and how they fared in the last minutes."""
    query = inputs.query({"minutes": minutes})
    return transport.ask(Call(method="GET", path="/stats", query=query)).read(Stats.of)


def cancel(transport: Transport, task_id: int) -> Task:
    """Cancel a task, or ask its worker to stop."""
    return _task(transport.ask(Call(method="POST", path=_path(task_id, "/cancel"))))


def retry(transport: Transport, task_id: int) -> Task:
    """Give a task new attempts; a second time would give it more."""
    path = _path(task_id, "/retry")
    return _task(transport.ask(Call(method="POST", path=path, repeat=Repeat.UNDONE)))


def retry_many(transport: Transport, body: bytes) -> Retried:
    """Give tasks new attempts; a second time would take others."""
    path = "/tasks/retry"
    call = Call(method="POST", path=path, headers=JSON, body=body, repeat=Repeat.UNDONE)
    return transport.ask(call).read(Retried.of)


def update(transport: Transport, task_id: int, body: bytes, etag: str | None) -> Task:
    """Change a waiting task; if ``etag`` must still hold, it would not after a first time."""
    headers = MERGE_PATCH | ({"If-Match": etag} if etag else {})
    repeat = Repeat.UNDONE if etag else Repeat.ALWAYS
    path = _path(task_id)
    call = Call(method="PATCH", path=path, headers=headers, body=body, repeat=repeat)
    return _task(transport.ask(call))


def delete(transport: Transport, task_id: int) -> None:
    """Delete a task."""
    transport.ask(Call(method="DELETE", path=_path(task_id)))


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": inputs.quoted(key)}


def _path(task_id: int, rest: str = "") -> str:
    return f"/tasks/{int(task_id)}{rest}"


def _task(reply: Reply, *, existed: bool = False) -> Task:
    etag = reply.headers.get("ETag")
    return reply.read(lambda raw: Task.of(raw, etag, existed=existed))
