"""How long the functions of the package take to start, beside a package as pip makes it."""

from __future__ import annotations

import statistics
from typing import Any

from bench.budgets import Budget
from localdev.lambda_runtime import cold_start

STARTS, SMOKE_STARTS = 7, 1
_BOUNDS = {"worker": 0.25, "API": 0.45}


def measured(starts: int) -> tuple[list[dict[str, Any]], list[Budget]]:
    """Return a row for each function, and the budgets. Raises StackError if one does not start."""
    told = cold_start.measured(starts)
    least = min(told["plain"])
    rows = [
        {
            "function": name,
            "least ms": min(times),
            "median ms": statistics.median(times),
            "least, of plain's": min(times) / least,
        }
        for name, times in told.items()
    ]
    budgets = [
        Budget(f"init of the {name}: of the plain zip's", min(told[name]) / least, bound)
        for name, bound in _BOUNDS.items()
    ]
    return rows, budgets
