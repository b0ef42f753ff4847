"""HTTP requests to addresses that clients name: they must not lead into our own network.

``call`` makes them, and ``smtp`` speaks with the operator's own mail server. Each is imported where
a request is made, and not here: what it needs takes longer to load than the rest of a handler.
"""

from __future__ import annotations

from chalicelib.outbound.target import MAX_URL, Exempt, check_url, read_url

__all__ = ["MAX_URL", "Exempt", "check_url", "read_url"]
