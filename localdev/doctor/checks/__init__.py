"""What is asked of the facts; each check is a pure function of them.

``functions`` looks at Lambda, ``mappings`` at what feeds the worker, ``queues`` at the queues,
``database`` at what the function admin sees, ``concurrency`` at how much may happen at once,
``reach`` at what may be reached by whom, ``watch`` at what would ring.
"""

from __future__ import annotations

from localdev.doctor.checks import concurrency, database, functions, mappings, queues, reach, watch

CHECKS = (
    *functions.CHECKS,
    *mappings.CHECKS,
    *queues.CHECKS,
    *database.CHECKS,
    *concurrency.CHECKS,
    *reach.CHECKS,
    *watch.CHECKS,
)

__all__ = ["CHECKS"]
