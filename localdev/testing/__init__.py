"""For tests of handlers of your own: runs them without a service, and tells what they did.

``run`` makes one attempt, ``drain`` all that become of a task, ``frozen`` sets the clock.
``memory`` stands in for the rows of a service, ``ran`` is what an attempt leaves.
"""

from __future__ import annotations

from localdev.testing.clock import frozen
from localdev.testing.drain import drain, run
from localdev.testing.given import Given, NotGiven
from localdev.testing.ran import Ran

__all__ = ["Given", "NotGiven", "Ran", "drain", "frozen", "run"]
