"""What the service sees of its database and its backlog, for whoever asks whether it is well.

It only looks. What is right and what is wrong of it is judged by whoever asks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chalicelib import migrations
from chalicelib.errors import StoreUnavailable

if TYPE_CHECKING:
    from chalicelib.store import HealthStore


class Diagnosis:
    """Looks at the database from where the service does: with its role, over its network."""

    def __init__(self, store: HealthStore) -> None:
        """Take the room below."""
        self._store = store

    def read(self) -> dict[str, Any]:
        """Return ``{"server", "schema", "backlog"}``.

        ``server`` has ``clock_ahead``: the seconds that the database's clock is before this
        process's, which ``clock_error`` is the most that it may be off by. ``schema`` has the
        version that was ``found`` and the one that is ``wanted``. ``backlog`` is None if the schema
        is too old to be asked. Raises StoreUnavailable if the database does not answer.
        """
        self._store.read_server()  # a new connection would make the clocks look different
        begun = time.time()
        server = self._store.read_server()
        ended = time.time()
        ahead = server.pop("clock") - (begun + ended) / 2
        clocks = {"clock_ahead": ahead, "clock_error": (ended - begun) / 2}
        schema = {"found": self._schema_version(), "wanted": migrations.newest_version()}
        return {"server": server | clocks, "schema": schema, "backlog": self._backlog()}

    def _schema_version(self) -> int:
        try:
            return self._store.read_schema_version()
        except StoreUnavailable:
            return 0  # the database answered just now: there is no such table

    def _backlog(self) -> dict[str, Any] | None:
        try:
            return self._store.read_backlog()
        except StoreUnavailable:
            return None
