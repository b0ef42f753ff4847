"""Makes attempts of concurrent kinds beside each other, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.outcome import Released
from chalicelib.worker.batch import Attempted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from chalicelib.registry import Registry
    from chalicelib.store import Claim
    from chalicelib.worker.batch import Batch
    from chalicelib.worker.run import Runner


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that a thread makes; both times are time.monotonic()'s."""

    claim: Claim
    thread: threading.Thread
    since: float
    deadline: float


class Threads:
    """The threads of a process; whoever waits for them is not kept beyond their deadlines."""

    def __init__(self, runner: Runner, registry: Registry, most: int) -> None:
        """Take what makes an attempt, what knows the kinds, and how many threads there may be."""
        self._runner = runner
        self._registry = registry
        self._most = most
        # They outlived their attempt, and nothing can end them; they count until they have ended.
        self._strays: list[threading.Thread] = []

    def part(self, claims: Sequence[Claim]) -> tuple[deque[Claim], list[Claim]]:
        """Part claims into those that are to run beside each other, and the others.

        One by itself is among the others: on the main thread it can be interrupted.
        """
        beside: deque[Claim] = deque()
        others: list[Claim] = []
        for claim in claims:
            concurrent = self._registry.policy_of(claim.task.kind).concurrent
            (beside if concurrent else others).append(claim)
        if len(beside) > 1 and self._room() > 1:
            return beside, others
        return deque(), list(claims)

    def attempts(self, waiting: deque[Claim], batch: Batch) -> Iterator[Attempted | None]:
        """Make the attempts that wait, and yield each when it is over.

        None is yielded when results in ``batch`` have waited long enough for others. What is left
        in ``waiting`` at the end found no thread.
        """
        from concurrent.futures import FIRST_COMPLETED, wait  # noqa: PLC0415  (only with threads)

        running: dict[Future[Attempted], Begun] = {}
        any_begun = False
        while running or (waiting and self._room() > 0):
            while waiting and len(running) < self._room():
                claim = waiting.popleft()
                if any_begun and not self._runner.may_start(batch.invocation, claim.task.kind):
                    yield Attempted(claim.task, Released(0))
                    continue
                future, begun = self._begin(claim, batch)
                running[future], any_begun = begun, True
            if not running:
                return
            next_deadline = min(begun.deadline for begun in running.values()) - time.monotonic()
            patience = max(min(next_deadline, batch.patience_left()), 0)
            done, _ = wait(running, patience, FIRST_COMPLETED)
            for future in done:
                del running[future]
                yield future.result()
            yield from self._given_up(running, batch)
            yield None

    def _begin(self, claim: Claim, batch: Batch) -> tuple[Future[Attempted], Begun]:
        from concurrent.futures import Future  # noqa: PLC0415  (as above)

        future: Future[Attempted] = Future()
        deadline = self._runner.deadline(claim, batch)
        attempt = partial(self._runner.attempt, claim, batch, deadline)
        # A daemon: a process that is to end does not wait for a handler that hangs.
        thread = threading.Thread(
            target=copy_context().run, args=(_make, attempt, future), daemon=True
        )
        begun = Begun(claim, thread, time.monotonic(), deadline)
        thread.start()
        return future, begun

    def _given_up(
        self, running: dict[Future[Attempted], Begun], batch: Batch
    ) -> Iterator[Attempted]:
        now = time.monotonic()
        for future, begun in list(running.items()):
            # Not if it has ended just now: its result is taken with the next look.
            if now >= begun.deadline and future.cancel():
                del running[future]
                self._strays.append(begun.thread)
                yield self._runner.give_up(begun.claim, batch, now - begun.since)

    def _room(self) -> int:
        self._strays = [thread for thread in self._strays if thread.is_alive()]
        return self._most - len(self._strays)


def _make(attempt: Callable[[], Attempted], future: Future[Attempted]) -> None:
    from concurrent.futures import InvalidStateError  # noqa: PLC0415  (as above)

    try:
        attempted = attempt()
    except BaseException as error:  # noqa: BLE001  (raised again by whoever waits)
        with suppress(InvalidStateError):
            future.set_exception(error)
        return
    try:
        future.set_result(attempted)
    except InvalidStateError:  # nobody waits any more: the attempt was settled as timed out
        if attempted.powers is not None:
            attempted.powers.undo()
