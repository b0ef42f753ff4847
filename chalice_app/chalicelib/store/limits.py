"""The statements about the limits of kinds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chalicelib.store.found import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.access import Caller
    from chalicelib.db import Rows
    from chalicelib.settings import Settings


class LimitStore:
    """The table ``kind_limits``. Kinds are every tenant's, so it is for operators alone.

    Every method may raise StoreUnavailable, Unauthorized and Forbidden.
    """

    def __init__(self, query: Callable[..., Rows], settings: Settings, caller: Caller) -> None:
        """Take what runs a named statement, and who asks."""
        self._run = query
        self._settings = settings
        self._caller = caller

    def read_limits(self, kind: str, *, most: int) -> dict[str, Any]:
        """Return the limits of a kind, and how many they hold back, counted up to ``most``."""
        return self._query("read_limits", kind=kind, most=most)

    def write_limits(
        self, kind: str, *, paused: bool | None = None, limits: Mapping[str, Any] | None = None
    ) -> None:
        """Set what is given of the limits of a kind; None leaves it as it is."""
        given = None if limits is None else json.dumps(limits)
        self._query("write_limits", kind=kind, paused=paused, limits=given)

    def _query(self, name: str, **arguments: Any) -> dict[str, Any]:
        [row] = self._run(name, **self._caller.proof(), **arguments)
        if row["refusal"] is not None:
            raise refusal(row, self._settings)
        return row
