"""The client: what can be asked of the service, in Python's words."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from tasks_client import batches, calls, clock, inputs, waiting
from tasks_client.errors import IllegalMove, PartlyCreated, TaskNotFound, TasksError
from tasks_client.models import Status
from tasks_client.transport import Transport
from tasks_client.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Unpack

    from tasks_client.inputs import Changes, Filters, NewTask, RetryFilter, TaskOptions
    from tasks_client.models import Attempt, Page, Progress, Retried, Task
    from tasks_client.stats import Stats

Tasks = list["Task"]
Attempts = list["Attempt"]


class Client:
    """A connection to one task service; threads may share it. Close it, or use it in ``with``.

    Every method raises a ``TasksError``. What fails in passing (no connection; 429, 502, 503, 504)
    is sent again with backoff and jitter, as long as that cannot do a thing twice, until
    ``timeout`` seconds have gone by.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Take the service's address, with its stage (``https://…/prod``), and an API key.

        ``timeout`` is in seconds, for one call with all its tries. ``transport`` takes the place
        of the network, in tests. Raises ValueError for an address or key that cannot be one.
        """
        headers = {"User-Agent": f"chalice-tasks-client/{__version__}"}
        if key is not None:
            headers["Authorization"] = f"Bearer {_checked_key(key)}"
        self._http = httpx.Client(
            base_url=_checked_url(base_url), headers=headers, transport=transport
        )
        self._transport = Transport(self._http, timeout)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def create(
        self,
        title: str,
        *,
        wait: float = 0.0,
        idempotency_key: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task, once, however often the request must be sent.

        With ``wait`` the answer comes when the task is final, or after so many seconds with the
        task as it was last seen. ``idempotency_key`` makes a second call return the first one's
        task; without it each call has a key of its own.
        """
        begun = clock.now()
        body = inputs.body({"title": title, **options})
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        task = calls.create(self._transport, body, key, wait)
        left = wait - (clock.now() - begun)
        if left <= 0 or task.is_final:
            return task
        try:
            return self.wait(task.id, left)
        except TasksError:
            return task  # it exists, whatever became of the waiting

    def create_many(self, tasks: Iterable[NewTask], *, idempotency_key: str | None = None) -> Tasks:
        """Create tasks, up to 1,000 with each request; return them in the order given.

        Each request creates all of its tasks or none. If one fails after others succeeded, raises
        PartlyCreated. A call with the same ``idempotency_key`` and tasks creates nothing twice.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        created: Tasks = []
        try:
            for number, body in enumerate(batches.bodies(tasks), start=1):
                created += calls.create_batch(self._transport, body, f"{key}/{number}")
        except Exception as error:
            if not created:
                raise
            # Also for what the iterable raised: what was created must not be lost.
            message = f"{len(created)} tasks were created, then: {error}"
            raise PartlyCreated(message, created, key) from error
        return created

    def get(self, task_id: int) -> Task:
        """Read a task."""
        return calls.look(self._transport, task_id)[0]

    def list(
        self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[Filters]
    ) -> Page:
        """Read one page of at most ``limit`` (1 to 100) tasks, newest first."""
        return calls.page(self._transport, {**filters, "limit": limit, "cursor": cursor})

    def iterate(self, **filters: Unpack[Filters]) -> Iterator[Task]:
        """Yield all tasks that match, newest first; pages are read as they are needed."""
        return calls.every(self._transport, filters)

    def wait(self, task_id: int, timeout: float | None = None) -> Task:
        """Return the task when it is final; raises NotFinished after ``timeout`` seconds."""
        return waiting.until_final(self._transport, task_id, timeout)

    def wait_all(
        self,
        ids: Iterable[int] | None = None,
        *,
        tag: str | None = None,
        timeout: float | None = None,
        on_progress: Callable[[Progress], Any] = lambda _: None,
    ) -> Tasks:
        """Return tasks when all are final; raises NotFinished after ``timeout`` seconds.

        Name them by ``ids``, and they are returned in that order; or by ``tag``, oldest first:
        then those that are created while waiting are waited for too. ``on_progress`` is called
        each time that more is known. Raises ValueError unless exactly one is given.
        """
        if (ids is None) == (tag is None):
            raise ValueError("give ids or a tag")
        if ids is not None:
            return waiting.each_until_final(self._transport, ids, timeout, on_progress)
        return waiting.tagged_until_final(self._transport, tag or "", timeout, on_progress)

    def cancel(self, task_id: int) -> Task:
        """Cancel a waiting task, or ask the worker of a running one to stop."""
        try:
            return calls.cancel(self._transport, task_id)
        except IllegalMove as error:
            # An earlier try, whose answer was lost, has done it.
            if error.in_doubt and error.current == Status.CANCELLED:
                return self.get(task_id)
            raise

    def retry(self, task_id: int) -> Task:
        """Give a failed or cancelled task new attempts; not sent again if it may have worked."""
        return calls.retry(self._transport, task_id)

    def retry_many(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        **filters: Unpack[RetryFilter],
    ) -> Retried:
        """Give new attempts to tasks that match, at most ``limit`` (1 to 1,000), oldest first.

        Where there may be more, go on with the ``next_cursor`` that came back as ``cursor``: what
        failed again meanwhile is not met again. Not sent again if it may have worked.
        """
        given = {"limit": limit, "cursor": cursor}
        told = {name: value for name, value in given.items() if value is not None}
        return calls.retry_many(self._transport, inputs.body({**filters, **told}))

    def update(self, task_id: int, *, etag: str | None = None, **changes: Unpack[Changes]) -> Task:
        """Change a task that waits; raises TaskChanged if ``etag`` is given and not the task's."""
        return calls.update(self._transport, task_id, inputs.body(changes), etag)

    def delete(self, task_id: int) -> None:
        """Delete a finished task."""
        try:
            calls.delete(self._transport, task_id)
        except TaskNotFound as error:
            # An earlier try, whose answer was lost, has done it.
            if not error.in_doubt:
                raise

    def attempts(self, task_id: int) -> Attempts:
        """Read every attempt of a task, oldest first."""
        return calls.attempts(self._transport, task_id)

    def stats(self, minutes: int = 60) -> Stats:
        """Read how the tasks stand, and how they fared in the last ``minutes`` (1 to 1440)."""
        return calls.stats(self._transport, minutes)


def _checked_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address must have no user, query or fragment")
    return text


def _checked_key(key: str) -> str:
    # Never shown, not even a part of it.
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError("the key has characters that no key has")
    return key
