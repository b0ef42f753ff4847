"""Who asks: keys, and what is sent to the database to prove one."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

from chalicelib.errors import Unauthorized

Scope = Literal["tasks:read", "tasks:write", "admin"]

_BEARER = re.compile(r"bearer +(tk_[!-~]*) *", re.IGNORECASE)
_KEY = re.compile(r"tk_([a-z0-9]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the holder of a key, or anybody where keys are off (both are None)."""

    key_id: str | None = None
    secret_hash: bytes | None = field(default=None, repr=False)

    def proof(self) -> dict[str, str | bytes | None]:
        """Return what a statement needs to admit the caller: ``key_id``, ``proof``, ``nonce``.

        The hash is blinded by a nonce of its own for each statement, so that the time a
        comparison takes tells nothing about the hash that is stored.
        """
        if self.secret_hash is None:
            return {"key_id": self.key_id, "proof": None, "nonce": None}
        nonce = secrets.token_bytes(16)
        proof = hashlib.sha256(self.secret_hash + nonce).digest()
        return {"key_id": self.key_id, "proof": proof, "nonce": nonce}


#: Stands for anybody: the one tenant of a service without keys.
ANYBODY = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key as it is made: ``text`` is for its holder alone and kept nowhere."""

    id: str
    text: str = field(repr=False)
    secret_hash: bytes = field(repr=False)


def identify(authorization: str | None) -> Caller:
    """Read an Authorization header (RFC 6750); raises Unauthorized if it holds no key of ours."""
    text = authorization or ""
    found = _BEARER.fullmatch(text)
    if found is None:
        # Who tried none is not told what was wrong with it (RFC 6750, section 3.1).
        raise Unauthorized(untried=not text.lower().startswith("bearer"))
    key = _KEY.fullmatch(found[1])
    if key is None:
        raise Unauthorized("The key is not of the form tk_<id>_<secret>.")
    return Caller(key[1], _hash(key[2]))


def new_key() -> NewKey:
    """Make a key: 256 random bits, of which a plain SHA-256 is kept, for nobody can guess them."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return NewKey(id=key_id, text=f"tk_{key_id}_{secret}", secret_hash=_hash(secret))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
