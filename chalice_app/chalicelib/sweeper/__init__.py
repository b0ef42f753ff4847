"""What happens once a minute: rescue, expire, send and purge what should have been by now.

``sweep`` is the tick, ``letters`` keeps the dead-letter queue and the failed tasks the same set.
"""

from __future__ import annotations

from chalicelib.sweeper.sweep import RESERVE, Sweeper

__all__ = ["RESERVE", "Sweeper"]
