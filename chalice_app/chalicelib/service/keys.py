"""Makes, lists and ends keys, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.store import KeyStore


class KeyService:
    """Keys of every tenant."""

    def __init__(self, store: KeyStore) -> None:
        """Take the room below."""
        self._store = store

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do what ``event`` asks."""
        raise NotImplementedError(event)
