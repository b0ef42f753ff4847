"""Builds the service from its parts; the only room that knows all of them.

``build`` puts them together, ``aws`` makes what speaks to AWS.
"""

from __future__ import annotations

from chalicelib.runtime.build import Runtime, current, observed

__all__ = ["Runtime", "current", "observed"]
