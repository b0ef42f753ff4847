"""What clients get to know of many tasks at once."""

from __future__ import annotations

from chalicelib.schemas.fields import Shape, Time
from chalicelib.task import Status  # noqa: TC001  (the same)


class Quantiles(Shape):
    """Times in seconds that half, 95 % and 99 % of the tasks stayed below."""

    p50: float
    p95: float
    p99: float


class Minute(Shape):
    """What happened in one minute, by the time at which it began."""

    minute: Time
    created: int
    completed: int
    failed: int


class Depths(Shape):
    """About how many messages there are, of all tenants; null while SQS cannot be reached."""

    tasks: int | None
    dead_letters: int | None


class Stats(Shape):
    """How the tasks stand, and what became of them of late.

    A count that is ``count_limit`` means: so many, or more. ``oldest_wait`` is how long, in
    seconds, the task waits that has been due longest. ``wait`` and ``run`` are of the last attempts
    of the ``timed`` tasks that finished latest: from when they were due until they were begun, and
    from there to their end. ``throughput`` lacks early minutes where there is too much to count.
    ``queue`` is there for operators alone.
    """

    at: Time
    counts: dict[Status, int]
    count_limit: int
    oldest_wait: float | None
    timed: int
    wait: Quantiles | None
    run: Quantiles | None
    throughput: list[Minute]
    queue: Depths | None
