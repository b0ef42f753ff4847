"""Why the database does not let a caller in, as an error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chalicelib.errors import Forbidden, KeyReused, TooManyRequests, Unauthorized

if TYPE_CHECKING:
    from chalicelib.settings import Settings

#: How long a client is told to wait for open tasks to end, in seconds.
OPEN_WAIT = 10


def refusal(row: dict[str, Any], settings: Settings) -> Exception:
    """Return the error that a row's ``refusal`` stands for."""
    match row["refusal"]:
        case "expired" | "revoked" as state:
            return Unauthorized(f"The key is {state}.")
        case "scope":
            return Forbidden()
        case "reused":
            return KeyReused()
        case "rate":
            wait = max(1, math.ceil(row["retry_after"]))
            return TooManyRequests(
                f"At most {settings.rate_limit:g} tasks may be created a second.", wait=wait
            )
        case "open":
            return TooManyRequests(
                f"At most {settings.open_limit:,} tasks may be open.", wait=OPEN_WAIT
            )
        case _:
            return Unauthorized("There is no such key.")
