"""The protocol's times, scaled by one factor so that a soak need not take a day."""

from __future__ import annotations

from dataclasses import dataclass

# The service's defaults, in seconds; docs/settings.md has their meaning.
_WORKER_TIMEOUT = 60
_LEASE_MARGIN = 15
_RETRY_DELAY = 30
_RETRY_DELAY_MAX = 3600
_DISPATCH_GRACE = 120
_DISPATCH_GRACE_MAX = 3600
_TICK = 60
_SHORTEST_TIMEOUT = 2  # seconds; WORKER_TIMEOUT knows whole seconds only
_SHORTEST_GRACE = 0.1  # seconds, a bound of DISPATCH_GRACE
ATTEMPT_LIMIT = 3

UNSCALED = (
    "SQS counts delays and visibility in whole seconds",
    "WORKER_TIMEOUT is 2 s at least, and the queue's visibility timeout six times that",
    "a result waits up to 0.2 s for others to be settled with",
    "DATABASE_PATIENCE (4 s) and the time limit of the sweeper (55 s)",
    "connect and read timeouts of PostgreSQL (3 s) and SQS (0.4 s and 0.5 s)",
)


@dataclass(frozen=True)
class Times:
    """All times in seconds."""

    factor: float
    worker_timeout: int
    lease_margin: float
    retry_delay: float
    retry_delay_max: float
    dispatch_grace: float
    dispatch_grace_max: float
    tick: float

    @classmethod
    def scaled(cls, factor: float) -> Times:
        """Return the defaults times ``factor``, kept within the bounds of the settings."""
        return cls(
            factor=factor,
            worker_timeout=max(_SHORTEST_TIMEOUT, round(_WORKER_TIMEOUT * factor)),
            lease_margin=_LEASE_MARGIN * factor,
            retry_delay=_RETRY_DELAY * factor,
            retry_delay_max=_RETRY_DELAY_MAX * factor,
            dispatch_grace=max(_SHORTEST_GRACE, _DISPATCH_GRACE * factor),
            dispatch_grace_max=max(_SHORTEST_GRACE, _DISPATCH_GRACE_MAX * factor),
            tick=_TICK * factor,
        )

    def environ(self) -> dict[str, str]:
        """Return the settings of the service that hold these times."""
        names = (
            "worker_timeout",
            "lease_margin",
            "retry_delay",
            "retry_delay_max",
            "dispatch_grace",
            "dispatch_grace_max",
        )
        return {name.upper(): str(getattr(self, name)) for name in names} | {
            "ATTEMPT_LIMIT": str(ATTEMPT_LIMIT)
        }

    @property
    def zombie(self) -> float:
        """How long past the end of its invocation a worker must live to meet its successor."""
        return self.lease_margin + self.tick + 2
