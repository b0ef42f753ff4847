"""Makes, lists and ends keys, for operators."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from chalicelib.access import Scope, new_key
from chalicelib.errors import KeyNotFound
from chalicelib.schemas.fields import Shape, Time

if TYPE_CHECKING:
    from chalicelib.store import KeyStore

DAY = 24 * 60 * 60
#: The same rule as the table's.
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ID = re.compile(r"[a-z0-9]{16}")

logger = logging.getLogger(__name__)


def _tenant(text: str) -> str:
    if not TENANT.fullmatch(text):
        raise ValueError("has to be 1 to 63 of a-z 0-9 _ -, the first a letter or a digit")
    return text


def _name(text: str) -> str:
    if not (text.strip() and text.isprintable() and len(text) <= 100):  # noqa: PLR2004
        raise ValueError("has to be 1 to 100 printable characters")
    return text


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("has to be the 16 characters between the underscores of a key")
    return text


def _scopes(scopes: list[Scope]) -> list[Scope]:
    if not scopes or len(set(scopes)) < len(scopes):
        raise ValueError("has to name one scope at least, and none twice")
    return scopes


Tenant = Annotated[str, AfterValidator(_tenant)]


class Asked(Shape):
    """What an operator asks for."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class CreateKey(Asked):
    """A key to make; it counts for ``lifetime_days``, or until it is revoked."""

    action: Literal["create"]
    tenant: Tenant
    name: Annotated[str, AfterValidator(_name)]
    scopes: Annotated[list[Scope], AfterValidator(_scopes)]
    lifetime_days: Annotated[float, Field(gt=0, le=3650)] | None = None


class ListKeys(Asked):
    """Whose keys to list; all if no tenant is given."""

    action: Literal["list"]
    tenant: Tenant | None = None


class RevokeKey(Asked):
    """Which key to end."""

    action: Literal["revoke"]
    id: Annotated[str, AfterValidator(_id)]


class KeyView(Shape):
    """A key as operators see it: without its secret, which nobody keeps."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    tenant: str
    name: str
    scopes: list[str]
    state: Literal["live", "expired", "revoked"]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None


class KeyService:
    """Keys of every tenant. Whoever can reach it is trusted with all of them."""

    def __init__(self, store: KeyStore) -> None:
        """Take the room below."""
        self._store = store

    def create(self, asked: CreateKey) -> dict[str, Any]:
        """Make a key and return ``{"key", "text"}``: the text is kept nowhere."""
        new = new_key()
        lifetime = None if asked.lifetime_days is None else asked.lifetime_days * DAY
        key = self._store.insert_key(
            new, tenant=asked.tenant, name=asked.name, scopes=asked.scopes, lifetime=lifetime
        )
        logger.info("key_created", extra={"key_id": key.id, "scopes": key.scopes})
        return {"key": _shown(key), "text": new.text}

    def list(self, asked: ListKeys) -> dict[str, Any]:
        """Return ``{"keys"}``."""
        return {"keys": [_shown(key) for key in self._store.list_keys(tenant=asked.tenant)]}

    def revoke(self, asked: RevokeKey) -> dict[str, Any]:
        """End a key at once and return ``{"key"}``. Raises KeyNotFound."""
        key = self._store.revoke_key(asked.id)
        if key is None:
            raise KeyNotFound
        logger.info("key_revoked", extra={"key_id": asked.id})
        return {"key": _shown(key)}


def _shown(key: object) -> dict[str, Any]:
    return KeyView.model_validate(key).model_dump(mode="json")
