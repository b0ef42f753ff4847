"""What is promised of the plain algorithm, and what was measured of both instead."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench.budgets import FLOOR, OURS, PLAIN
from bench.measure import SEND
from bench.told import summed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Cell
    from bench.whole import Run


def beside(cells: Sequence[Cell], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each promise, with one client that posts one by one.

    Both send in the same way, and the plain table does not tell when a task was begun.
    """
    alone = [run for run in runs if run.load.clients == 1 and run.load.together == 1]
    posts = {one.service: (one.p50 * 1000, one.p99 * 1000) for one in summed(alone)}
    [send] = [cell for cell in cells if (cell.case, cell.name) == (SEND, FLOOR)]
    begun = [run.begun for run in alone if run.service == OURS]
    middle, late = (statistics.median(times) * 1000 for times in zip(*begun, strict=True))
    return [
        _row("answer of the API", "< 100 ms", posts[OURS], posts[PLAIN]),
        _row("sending to SQS", "< 50 ms", (send.p50, send.p99), (send.p50, send.p99)),
        _row("from POST to the worker", "1 to 5 s", (middle, late), ("", "")),
    ]


def _row(what: str, promise: str, ours: tuple[Any, Any], plain: tuple[Any, Any]) -> dict[str, Any]:
    shown = zip(("p50", "p99") * 2, (OURS, OURS, PLAIN, PLAIN), (*ours, *plain), strict=True)
    return {
        "what": what,
        "promised": promise,
        **{f"{who}, {part} ms": value for part, who, value in shown},
    }
