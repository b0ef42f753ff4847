"""What happens once a minute: rescue, expire, make, send and purge what should be by now.

``sweep`` is the tick, ``schedules`` makes tasks whose time has come, ``letters``
keeps the dead-letter queue and the failed tasks the same set.
"""

from __future__ import annotations

from chalicelib.sweeper.schedules import Schedules
from chalicelib.sweeper.sweep import RESERVE, Sweeper

__all__ = ["RESERVE", "Schedules", "Sweeper"]
