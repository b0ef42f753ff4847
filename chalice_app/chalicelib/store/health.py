"""The statements by which an operator asks how the service fares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.db import Rows
    from chalicelib.settings import Settings

#: Rows are counted up to here: what is asked has to be answered at a million tasks too.
MOST = 1000


class HealthStore:
    """The server and the backlog, looked at. Every method may raise StoreUnavailable."""

    def __init__(self, query: Callable[..., Rows], settings: Settings) -> None:
        """Take what runs a named statement."""
        self._query = query
        self._settings = settings

    def read_schema_version(self) -> int:
        """Return the number of the newest migration that was applied (0: none)."""
        return int(self._query("read_schema_version")[0]["version"])

    def read_server(self) -> dict[str, Any]:
        """Return the server's ``clock`` (seconds since 1970) and its room for connections.

        ``others`` are the connections that are not this service's on this database; the limits of
        the role and of the database are None where there are none.
        """
        return self._query("read_server")[0]

    def read_backlog(self) -> dict[str, Any]:
        """Return how many tasks wait, are worked and have failed, and what is overdue.

        Overdue are rows known to have no message (``unsent``), rows that ought to be looked at
        again (``presumed``), attempts whose lease is over (``lost``) and tasks that have expired
        (``late``); each with the seconds that the oldest has been so, ``…_for``. No number is
        over MOST.
        """
        return self._query("read_backlog", most=MOST, ahead=self._settings.send_ahead)[0]
