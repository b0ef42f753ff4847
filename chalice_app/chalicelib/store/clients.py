"""The statements of a client; each carries the client's key and sees its tenant's tasks alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chalicelib.errors import TaskNotFound
from chalicelib.queue import Letter
from chalicelib.store.found import Creation, Found, absent, check, read, read_moved, refusal
from chalicelib.task import Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.access import Caller, Scope
    from chalicelib.db import Rows
    from chalicelib.settings import Settings
    from chalicelib.store.found import Place

#: Tasks that one page looks at, at most: some 50 ms.
MOST_LOOKED_AT = 10_000

USUAL: Mapping[str, int] = MappingProxyType({})
NEWEST = (datetime.max.replace(tzinfo=UTC), 0)
OLDEST = (datetime.min.replace(tzinfo=UTC), 0)
#: The versions of a task that a client knows; None if any will do.
Versions = list[datetime] | None


class ClientStore:
    """The tasks of one tenant.

    Every method may raise StoreUnavailable, Unauthorized, and Forbidden for a scope that the key
    does not have.
    """

    def __init__(self, query: Callable[..., Rows], settings: Settings, caller: Caller) -> None:
        """Take what runs a named statement, the protocol's times, and who asks."""
        self._run = query
        self._settings = settings
        self._caller = caller

    def insert_tasks(
        self,
        items: Sequence[dict[str, Any]],
        *,
        key: str | None = None,
        fingerprint: bytes | None = None,
    ) -> list[Creation]:
        """Store new tasks, all or none, and return one for each item, in their order.

        The items hold JSON values: kind, title, and where given description, payload, run_at or
        delay (seconds), expires_at, tags, unique_key, unique_scope and attempt_limit. ``key`` and
        ``fingerprint`` are the request's Idempotency-Key and what it asked for. Raises
        KeyReused, TooManyRequests, TaskNotFound if a task that the request made once is gone,
        and StoreRejected for what PostgreSQL cannot keep.
        """
        rows = self._query(
            "insert_tasks",
            items=json.dumps(items, ensure_ascii=False),
            key=key,
            fingerprint=fingerprint,
            attempt_limit=self._settings.attempt_limit,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
            rate=self._settings.rate_limit,
            burst=self._settings.rate_burst,
            open_limit=self._settings.open_limit,
        )
        if any(row["id"] is None for row in rows):
            raise TaskNotFound("The task that was created with this Idempotency-Key is deleted.")
        return [
            Creation(
                task=Task.from_row(row),
                tenant=row["tenant"],
                wait=row["wait"],
                created=row["created"],
                replayed=row["replayed"],
            )
            for row in rows
        ]

    def admit_caller(self, scope: Scope) -> None:
        """Ask for a key with this scope and for nothing else."""
        self._query("admit_caller", scope=scope)

    def get_task(self, task_id: int, *, scope: Scope = "tasks:read") -> Found:
        """Return one task, to a key with this scope; raises TaskNotFound."""
        [row] = self._query("get_task", id=task_id, scope=scope)
        if row["id"] is None:
            raise absent(task_id)
        return read(row)

    def get_attempts(self, task_id: int) -> dict[str, Any]:
        """Return the columns that tell of a task's attempts; raises TaskNotFound."""
        [row] = self._query("get_attempts", id=task_id)
        if row["id"] is None:
            raise absent(task_id)
        return row

    def list_tasks(
        self,
        *,
        before: Place | None,
        limit: int,
        created_before: datetime | None = None,
        **filters: Any,
    ) -> tuple[list[Found], Place | None]:
        """Return up to ``limit`` tasks, newest first, of those before the place ``before``.

        Returns with them the place at which it stopped looking, if there may be more: no more
        than MOST_LOOKED_AT tasks are looked at. ``filters``: status, kind, tag, created_after,
        text; None is any.
        """
        places = (before, created_before and (created_before, 0), NEWEST)
        at, number = min(place for place in places if place)
        rows = self._query(
            "list_tasks", before=at, before_id=number, limit=limit, most=MOST_LOOKED_AT, **filters
        )
        found = [read(row) for row in rows if row["fitting"]]
        last = rows[-1]
        return found, (last["created_at"], last["id"]) if last["looked"] == MOST_LOOKED_AT else None

    def read_stats(self, *, minutes: int, most: int, sample: int) -> dict[str, Any]:
        """Return how the tasks stand now, and what became of them in the last ``minutes``.

        ``most`` bounds every count, ``sample`` the finished tasks that are timed. ``operator``
        tells whether the caller may know of the whole service. Times are in seconds.
        """
        bounds = {"minutes": minutes, "most": most, "sample": sample}
        [row] = self._query("read_stats", **bounds, statuses=[*map(str, Status)])
        return row

    def update_task(
        self, task_id: int, changes: dict[str, Any], *, versions: Versions = None
    ) -> Found:
        """Change a waiting task, if it still has one of the ``versions`` (None: any).

        Raises TaskChanged, IllegalMove and TaskNotFound.
        """
        rows = self._query(
            "update_task",
            id=task_id,
            changes=json.dumps(changes, ensure_ascii=False),
            versions=versions,
            grace=self._settings.dispatch_grace,
            ahead=self._settings.send_ahead,
        )
        return read_moved(rows, task_id, "changed")

    def cancel_task(self, task_id: int, *, versions: Versions = None) -> Task:
        """Cancel a waiting task, or ask its worker to; raises as update_task does."""
        rows = self._query("cancel_task", id=task_id, versions=versions)
        return read_moved(rows, task_id, "cancelled").task

    def retry_task(
        self, task_id: int, *, versions: Versions = None, attempts: Mapping[str, int] = USUAL
    ) -> Found:
        """Give a failed or cancelled task new attempts; raises as update_task does.

        ``attempts`` tells how many, by kind, where it is not as many as usual.
        """
        rows = self._query("retry_task", id=task_id, versions=versions, **self._more(attempts))
        return read_moved(rows, task_id, "tried again")

    def retry_tasks(
        self,
        *,
        after: Place | None,
        limit: int,
        created_after: datetime | None = None,
        attempts: Mapping[str, int] = USUAL,
        **filters: Any,
    ) -> tuple[list[Letter], Place | None]:
        """Do so with up to ``limit`` tasks, oldest first, of those after the place ``after``.

        Returns their messages, and the place at which it stopped looking, if there may be more:
        no more than MOST_LOOKED_AT tasks are looked at. ``filters``: status, kind, tag,
        created_before, text.
        """
        places = (after, created_after and (created_after, 0), OLDEST)
        at, number = max(place for place in places if place)
        rows = self._query(
            "retry_tasks",
            after=at,
            after_id=number,
            limit=limit,
            most=MOST_LOOKED_AT,
            **self._more(attempts),
            **filters,
        )
        letters = [
            Letter(**{name: row[name] for name in ("id", "title", "description", "tenant")})
            for row in rows
            if row["id"] is not None
        ]
        at, number = rows[0]["last_at"], rows[0]["last_id"]
        return letters, None if at is None else (at, number)

    def delete_task(self, task_id: int, *, versions: Versions = None) -> None:
        """Delete a finished task; raises as update_task does."""
        rows = self._query("delete_task", id=task_id, versions=versions)
        check(rows[0], task_id, "deleted")

    def _more(self, attempts: Mapping[str, int]) -> dict[str, Any]:
        return {
            "more": self._settings.attempt_limit,
            "attempts": json.dumps(dict(attempts)),
            "grace": self._settings.dispatch_grace,
        }

    def _query(self, name: str, **arguments: Any) -> Rows:
        rows = self._run(name, **arguments, **self._caller.proof())
        if rows[0]["refusal"] is not None:
            raise refusal(rows[0], self._settings)
        return rows
