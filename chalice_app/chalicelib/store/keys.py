"""The statements about keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.access import NewKey, Scope
    from chalicelib.db import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is kept: without its secret."""

    id: str
    tenant: str
    name: str
    scopes: list[str]
    state: str  #: live, expired or revoked
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyStore:
    """The table ``api_keys``. Every method may raise StoreUnavailable."""

    def __init__(self, query: Callable[..., Rows]) -> None:
        """Take what runs a named statement."""
        self._query = query

    def insert_key(
        self,
        key: NewKey,
        *,
        tenant: str,
        name: str,
        scopes: Sequence[Scope],
        lifetime: float | None,
    ) -> Key:
        """Keep a new key that counts for ``lifetime`` seconds (None: until it is revoked)."""
        [row] = self._query(
            "insert_key",
            id=key.id,
            secret_hash=key.secret_hash,
            tenant=tenant,
            name=name,
            scopes=list(scopes),
            lifetime=lifetime,
        )
        return Key(**row)

    def list_keys(self, *, tenant: str | None) -> list[Key]:
        """Return the keys of a tenant (None: of all), oldest first."""
        return [Key(**row) for row in self._query("list_keys", tenant=tenant)]

    def revoke_key(self, key_id: str) -> Key | None:
        """End a key from now on; None if there is no such key."""
        rows = self._query("revoke_key", id=key_id)
        return Key(**rows[0]) if rows else None
