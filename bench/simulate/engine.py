"""The events of a simulated stage, in the order of their times."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from typing import TYPE_CHECKING

from bench.simulate.given import TEN
from bench.simulate.parts import Account, Bucket, Cores, Pollers
from bench.simulate.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.simulate.given import Limits, Stage, Statements

_MINUTE = 60.0
_PATIENCE = 30 * 24 * 60 * 60.0
_A_TICK = 5_000  # what the sweeper sends at most


class Simulation:
    """One run. A task is the number of seconds at which it was first asked for."""

    def __init__(self, stage: Stage, limits: Limits, takes: Statements, seed: int = 1) -> None:
        """Begin at second 0 with nothing asked, sent or running."""
        self._stage, self._limits, self._takes = stage, limits, takes
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._numbers = itertools.count()
        self._gateway = Bucket(limits.gateway_rate, limits.gateway_burst)
        self._account = Account(limits, {"api": stage.reserve, "worker": math.inf})
        self._cores = Cores(limits.cores)
        self._pollers = Pollers(limits, stage.maximum)
        self._queue: deque[tuple[float, float]] = deque()  # when sent, when asked for
        self._released: deque[float] = deque()
        self._open = 0
        self._ticking = False
        self.told = Told()

    def run(self, asked: Iterable[tuple[float, int]] = (), backlog: int = 0) -> Told:
        """Return what happened once all is done: requests (when, how many tasks), a backlog."""
        for when, tasks in asked:
            self._open += tasks
            self._at(when, self._ask, when, tasks)
        self._open += backlog
        self._queue.extend((0.0, 0.0) for _ in range(backlog))
        self.told.tasks = self._open
        self._at(0.0, self._second)
        while self._events:
            when, _, act, arguments = heapq.heappop(self._events)
            act(when, *arguments)
        return self.told

    def _at(self, when: float, act: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act, arguments))

    def _second(self, now: float) -> None:
        # Once a second the mapping looks whether messages are left; once a minute the sweeper.
        self._pollers.look(waiting=bool(self._queue))
        if now % _MINUTE == 0:
            back = [self._released.popleft() for _ in range(min(_A_TICK, len(self._released)))]
            self._send(now, back)
        self._poll(now)
        self.told.second(now, len(self._queue), self._pollers.running)
        if now > _PATIENCE:
            raise RuntimeError("it never ends: " + str(self.told.bound))
        if self._open:
            self._at(now + 1, self._second)

    # The API.

    def _ask(self, now: float, first: float, tasks: int) -> None:
        refused = self._gateway.refuses(now, "gateway") or self._account.refuses(now, "api")
        if refused:
            self.told.bound[refused] += 1
            self.told.refused += 1
            again = self._stage.again * (0.5 + self._random.random())
            self._at(now + again, self._ask, first, tasks)
            return
        cold = self._stage.cold if self._account.begin("api") else 0.0
        self._note()
        self._at(now + cold + self._stage.request, self._create, first, tasks)

    def _create(self, now: float, first: float, tasks: int) -> None:
        end = self._statement(now, self._takes.create, tasks)
        self._at(end, self._answer, first, tasks)

    def _answer(self, now: float, first: float, tasks: int) -> None:
        self._account.end(now, "api")
        self.told.accepted.append(now - first)
        self._send(now, [first] * tasks)
        self._poll(now)

    def _send(self, now: float, tasks: Sequence[float]) -> None:
        self._queue.extend((now, task) for task in tasks)
        self.told.sqs_calls += -(-len(tasks) // TEN)

    # The mapping and the worker.

    def _poll(self, now: float) -> None:
        while self._ready(now):
            blocked = self._blocked(now)
            if blocked:
                self.told.bound[blocked] += 1
                return
            self._begin(now)

    def _ready(self, now: float) -> bool:
        if not self._queue:
            return False
        if self._stage.window == 0 or len(self._queue) >= self._stage.batch:
            return True
        closes = self._queue[0][0] + self._stage.window
        if closes > now:
            self._at(closes, self._poll)
        return closes <= now

    def _blocked(self, now: float) -> str:
        if self._pollers.in_flight + self._size() > self._limits.in_flight:
            return "in flight"
        return self._pollers.blocked() or self._account.refuses(now, "worker", unconnected=True)

    def _size(self) -> int:
        return min(self._stage.batch, len(self._queue))

    def _begin(self, now: float) -> None:
        batch = [self._queue.popleft()[1] for _ in range(self._size())]
        self._pollers.begin(len(batch))
        self.told.sqs_calls += 2 * -(-len(batch) // TEN)  # received, and deleted
        new = self._account.begin("worker")
        if new is None:
            # No connection for this process: the batch is kept, until it can be seen again.
            self.told.bound["connections"] += 1
            self._pollers.end(0)
            self._at(now + self._stage.visibility, self._back, batch)
            return
        ready = now + (self._stage.cold if new else 0.0)
        self._note()
        self._at(ready, self._claim, batch, now)

    def _note(self) -> None:
        self.told.peak("running", self._account.running)
        self.told.peak("connections", self._account.processes)
        self.told.peak("in flight", self._pollers.in_flight)

    def _back(self, now: float, batch: list[float]) -> None:
        self._pollers.in_flight -= len(batch)
        self._send(now, batch)
        self._poll(now)

    def _claim(self, now: float, batch: list[float], begun: float) -> None:
        end = self._statement(now, self._takes.claim, len(batch))
        self.told.claimed.extend(end - task for task in batch)
        self._at(end, self._work, batch, 0, begun)

    def _work(self, now: float, batch: list[float], place: int, begun: float) -> None:
        """Run the handlers of the next tasks that are settled together."""
        stage = self._stage
        group = batch[place : place + stage.settled_together]
        left = begun + stage.timeout - stage.beside - now
        if place and -(-len(group) // stage.threads) * stage.handler > left:
            self._released.extend(batch[place:])
            self.told.bound["time limit"] += 1
            group = []
        if not group:
            self._at(now + stage.beside, self._end, len(batch))
            return
        for number, task in enumerate(group):
            start = now + number // stage.threads * stage.handler
            self.told.started(start, start - task)
        over = now + -(-len(group) // stage.threads) * stage.handler
        self._at(over, self._settle, batch, place, len(group), begun)

    def _settle(
        self, now: float, batch: list[float], place: int, settled: int, begun: float
    ) -> None:
        end = self._statement(now, self._takes.settle, settled)
        self._open -= settled
        self.told.finished(end, settled)
        self._at(end, self._work, batch, place + settled, begun)

    def _end(self, now: float, received: int) -> None:
        self._account.end(now, "worker")
        self._pollers.end(received)
        self._poll(now)

    def _statement(self, now: float, takes: tuple[float, float], tasks: int) -> float:
        seconds = takes[0] + takes[1] * tasks
        self.told.statements += 1
        self.told.busy += seconds
        begin = self._cores.free(now)
        if begin > now:
            self.told.bound["database"] += 1
        return self._cores.take(begin, seconds)
