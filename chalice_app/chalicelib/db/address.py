"""Where the database is, who asks there, and whose certificate it has to show."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from chalicelib.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

RDS_ROOTS = Path(__file__).parent.parent / "certificates" / "rds.pem"
#: How often a refused connection may make us look for a new password, in seconds.
LOOK_AGAIN = 60.0

#: PostgreSQL's, where the URL names no other.
PORT = 5432

#: What RDS calls it in a secret, and libpq in a connection.
_FIELDS = {
    "username": "user",
    "password": "password",
    "host": "host",
    "port": "port",
    "dbname": "dbname",
}


class Address:
    """A libpq URL; with ``roots``, a PEM file, the server must prove by it that it is that host."""

    def __init__(self, url: str, roots: str | Path = "") -> None:
        """Take the URL and the PEM file; ``""``: what the URL says."""
        self._parameters = {"dsn": url}
        if roots:
            self._parameters |= {"sslmode": "verify-full", "sslrootcert": str(roots)}

    def parameters(self) -> dict[str, str]:
        """Return what psycopg2.connect takes."""
        return self._parameters

    def renewed(self) -> bool:
        """Tell, after a connection was refused, whether another may fare better."""
        return False


class SecretAddress(Address):
    """An address of which a secret in RDS's form knows user and password, and perhaps the rest."""

    def __init__(self, url: str, roots: str | Path, read: Callable[[], str]) -> None:
        """Take the URL that says what the secret does not, and what reads the secret's text.

        ``read`` is called on first use. It may raise StoreUnavailable, as both methods then do.
        """
        super().__init__(url, roots)
        self._read = read
        self._lock = threading.Lock()
        self._secret: dict[str, str] | None = None
        self._looked = 0.0

    def parameters(self) -> dict[str, str]:
        """Return what psycopg2.connect takes. Raises InvalidSettings if the secret is no such."""
        with self._lock:
            if self._secret is None:
                self._look()
            return self._parameters | (self._secret or {})

    def renewed(self) -> bool:
        """Read the secret again, once a minute at most, and tell whether it has changed.

        A refused password comes without a code of its own, so any refusal leads here.
        """
        with self._lock:
            before = self._secret
            if time.monotonic() - self._looked > LOOK_AGAIN:
                self._look()
            return self._secret != before

    def _look(self) -> None:
        self._secret = _fields(self._read())
        self._looked = time.monotonic()


class TokenAddress(Address):
    """An address where a token of IAM's is shown for a password."""

    def __init__(self, url: str, roots: str | Path, sign: Callable[[str, int, str], str]) -> None:
        """Take a URL with user and host, and what makes a token for a host, a port and a user.

        ``sign`` is called for every connection, since a token lasts 15 minutes only (Amazon RDS
        User Guide, "IAM database authentication") and is made without asking anybody. It may
        raise StoreUnavailable, as ``parameters`` then does.
        """
        super().__init__(url, roots)
        self._parameters |= {"sslmode": "verify-full"}  # whoever reads a token can use it
        parts = urlsplit(url)
        self._who = parts.hostname or "", parts.port or PORT, unquote(parts.username or "")
        self._sign = sign

    def parameters(self) -> dict[str, str]:
        """Return what psycopg2.connect takes, with a token made just now."""
        return self._parameters | {"password": self._sign(*self._who)}


def _fields(text: str) -> dict[str, str]:
    try:
        told: Any = json.loads(text)
        found = {ours: str(told[theirs]) for theirs, ours in _FIELDS.items() if told.get(theirs)}
    except (ValueError, AttributeError):
        # Without the text, which is a secret.
        raise InvalidSettings("DATABASE_SECRET_ARN: the secret is no JSON object") from None
    if not {"user", "password"} <= found.keys():
        raise InvalidSettings("DATABASE_SECRET_ARN: the secret has no username and password")
    return found
