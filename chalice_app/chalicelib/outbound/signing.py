"""Signatures of webhooks, and the secrets that they are made with.

Source: Standard Webhooks 1.0.0 (standardwebhooks.com), "Signature scheme".
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING

from chalicelib.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"
_ROOTS = re.compile(r"[!-+\--~]{32,200}(,[!-+\--~]{32,200})?")


def secrets_of(tenant: str, roots: str) -> list[str]:
    """Return the secrets of a tenant, for one or two root secrets with a comma between them.

    They are derived, so that nothing is stored and no tenant knows another's. Raises
    InvalidSettings for roots that are none.
    """
    if not _ROOTS.fullmatch(roots):
        # Without the text, which is a secret.
        raise InvalidSettings("WEBHOOK_SECRETS: have to be one or two of 32 characters or more")
    keys = (hmac.digest(root.encode(), tenant.encode(), "sha256") for root in roots.split(","))
    return [PREFIX + base64.b64encode(key).decode() for key in keys]


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature``: a signature by each of the secrets."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_signature(secret, content)}" for secret in secrets)


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
