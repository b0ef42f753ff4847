"""What is asked of the facts; each check is a pure function of them.

``queues`` looks at the two queues, ``functions`` at Lambda and the mapping, ``database`` at what
the function admin sees, ``reach`` at what may be reached by whom, ``watch`` at what would ring.
"""

from __future__ import annotations

from localdev.doctor.checks import database, functions, queues, reach, watch

CHECKS = (
    *functions.CHECKS,
    *queues.CHECKS,
    *database.CHECKS,
    *reach.CHECKS,
    *watch.CHECKS,
)

__all__ = ["CHECKS"]
