"""The progress bar of a wait, on a terminal only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from tasks_client import Progress

tqdm.monitor_interval = 0  # no thread to watch over a bar that is drawn when something happens


class Bar:
    """A bar on stderr, so that what a command prints can be piped; none if that is no terminal."""

    def __enter__(self) -> Self:
        """Draw nothing yet: how many there are is not known."""
        self._bar = tqdm(
            total=0, unit="task", file=sys.stderr, disable=None, leave=False, mininterval=0
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.close()

    def show(self, progress: Progress) -> None:
        """Draw how far the tasks are."""
        self._bar.total = progress.total
        self._bar.n = progress.finished
        missed = {"failed": progress.failed, "cancelled": progress.cancelled}
        self._bar.set_postfix({name: count for name, count in missed.items() if count})
