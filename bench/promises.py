"""What is promised of the plain algorithm, and what was measured of the service instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.measure import SEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Cell


def beside(cells: Sequence[Cell], alone: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each promise; ``alone`` is the stack's row with one client."""
    [send] = [cell for cell in cells if cell.case == SEND]
    return [
        _row("answer of the API", "< 100 ms", alone["POST p50 ms"], alone["POST p99 ms"]),
        _row("sending to SQS", "< 50 ms", send.p50, send.p99),
        _row(
            "from POST to the worker",
            "1 to 5 s",
            alone["begun after p50 ms"],
            alone["begun after p99 ms"],
        ),
    ]


def _row(what: str, promise: str, p50: float, p99: float) -> dict[str, Any]:
    return {"what": what, "promised": promise, "p50 ms": p50, "p99 ms": p99}
