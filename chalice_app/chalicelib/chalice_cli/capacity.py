"""How many connections a stage may open, and how large its own database is for that at least."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli import HIGH_WORKER

if TYPE_CHECKING:
    from chalicelib.chalice_cli.options import Options
    from chalicelib.settings import Settings

#: The sweeper, migrate and admin, one each.
_OTHERS = 3
#: What PostgreSQL keeps for superusers. Source: PostgreSQL, superuser_reserved_connections.
_KEPT = 3
# Of Aurora Serverless v2, max_connections by the greatest capacity: 189 at 1 ACU, 3,360 at 16, in
# proportion between them, never above 5,000, and 2,000 while the least is 0.5.
# Source: Amazon Aurora User Guide, "Performance and scaling for Aurora Serverless v2", and AWS
# re:Post, "Working of max_connections for Amazon Aurora PostgreSQL Serverless".
_AT_ONE, _PER_ACU = 189, (3360 - 189) / 15
MOST, MOST_AT_HALF = 5000, 2000


def connections(config: Any, chosen: Options, told: Settings) -> tuple[int, list[str]]:
    """Return how many connections a stage may open, as far as bounded, and who is not."""
    # Pollers of its own take the place of a mapping's maximum concurrency.
    worker = [] if chosen.pollers else [told.maximum_concurrency]
    bounds: dict[str, list[int]] = {"worker": worker, "api_handler": []}
    if told.high_queue_name:
        bounds[HIGH_WORKER] = [told.maximum_concurrency]
    for name, known in bounds.items():
        reserved = config.scope(config.chalice_stage, name).reserved_concurrency
        if reserved is not None:
            known.append(reserved)
    bounded = sum(min(known) for known in bounds.values() if known)
    return _OTHERS + bounded, [name for name, known in bounds.items() if not known]


def least(needed: int) -> tuple[float, float] | None:
    """Return the least minimum and maximum capacity, in ACU, for so many connections.

    None if no capacity has room for them.
    """
    whole = needed + _KEPT
    if whole > MOST:
        return None
    maximum = 1 + math.ceil(max(whole - _AT_ONE, 0) / _PER_ACU * 2) / 2
    return (1 if whole > MOST_AT_HALF else 0.5), maximum


def fit(parameters: dict[str, Any], needed: int, unbounded: list[str]) -> None:
    """Let the parameters of aurora.json take no capacity that is too small, in place.

    ``needed`` connections have to be possible, see least(); who is ``unbounded`` is told.
    """
    names = ("AuroraMinCapacity", "AuroraMaxCapacity")
    for name, size in zip(names, least(needed) or (), strict=True):
        one = parameters[name]
        one["MinValue"] = max(one["MinValue"], size)
        one["Default"] = max(one["Default"], size)
    besides = f", and those of {' and '.join(unbounded)} besides" if unbounded else ""
    parameters["AuroraMaxCapacity"]["Description"] += f" The stage may open {needed}{besides}."
