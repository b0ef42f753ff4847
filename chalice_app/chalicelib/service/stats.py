"""Tells how the tasks of one tenant stand, and operators how full the queues are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.schemas import Depths, Minute, Quantiles, Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store import ClientStore

#: No count goes further, so that a million tasks take no longer than these.
COUNT_LIMIT = 100_000
#: So many finished tasks are timed.
SAMPLE = 10_000


def read_stats(store: ClientStore, minutes: int, depths: Callable[[], Depths]) -> Stats:
    """Return the statistics of the last ``minutes``; ``depths`` is asked for operators alone."""
    row = store.read_stats(minutes=minutes, most=COUNT_LIMIT, sample=SAMPLE)
    return Stats(
        at=row["at"],
        counts=row["counts"],
        count_limit=COUNT_LIMIT,
        oldest_wait=row["oldest_wait"],
        timed=row["timed"],
        wait=_quantiles(row["wait"]),
        run=_quantiles(row["run"]),
        throughput=[Minute.model_validate(one) for one in row["minutes"] or ()],
        queue=depths() if row["operator"] else None,
    )


def _quantiles(values: list[Any] | None) -> Quantiles | None:
    if values is None:
        return None
    p50, p95, p99 = values
    return Quantiles(p50=p50, p95=p95, p99=p99)
