"""What the simulator is given: AWS's limits, the database's speed, the stage's settings."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """AWS's quotas, as an account has them that asked for nothing; docs/scale.md has the pages."""

    #: API Gateway's bucket: requests a second, and how many it holds.
    gateway_rate: float = 10_000
    gateway_burst: float = 5_000
    #: Lambda: running at once in the account, new processes of a function a second.
    account: int = 1_000
    growth: float = 100
    growth_burst: float = 1_000
    #: Lambda: synchronous requests a second, for each of the account's concurrency.
    requests_each: float = 10
    #: Lambda ends a process that has been idle for so long; assumed, AWS does not say.
    idle: float = 300
    #: The mapping: batches at once to begin with, more of them a second, at most.
    mapping_start: int = 5
    mapping_growth: float = 300 / 60
    mapping_most: int = 1_250
    #: SQS: received and not deleted.
    in_flight: int = 120_000
    #: PostgreSQL: for everybody, without those kept for superusers.
    connections: int = 5_000 - 3
    #: Cores of the database; infinite: no statement waits for another.
    cores: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Seconds of a core that a statement takes: once, and for each task in it.

    The medians of what ``python -m bench.simulate measure`` printed, see docs/scale.md.
    """

    create: tuple[float, float] = (0.000_506, 0.000_021)
    claim: tuple[float, float] = (0.000_497, 0.000_036)
    settle: tuple[float, float] = (0.000_392, 0.000_026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How a stage is set up, and what its handlers take; times are seconds."""

    handler: float = 1.0
    batch: int = 10
    window: float = 0.0
    #: MAXIMUM_CONCURRENCY; None: pollers take its place, and nothing bounds them here.
    maximum: int | None = 10
    #: The API's reserved concurrency; infinite: none.
    reserve: float = math.inf
    #: Tasks that one worker runs at once: 1, or WORKER_THREADS for concurrent kinds.
    threads: int = 1
    #: WORKER_TIMEOUT.
    timeout: float = 60.0
    #: Tasks in a request.
    together: int = 1
    #: What a request and a batch take beside statements and handlers. docs/costs.md assumes both.
    request: float = 0.05
    beside: float = 0.05
    #: A new process; assumed.
    cold: float = 1.0
    #: After how long a client asks again that was refused; half of it to one and a half.
    again: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what Lambda or the settings refuse."""
        if self.handler >= self.timeout:
            raise ValueError("a handler takes no less than its worker may")
        if self.batch > TEN and self.window < 1:
            raise ValueError("a batch of more than ten needs a window of at least 1 s")

    @property
    def visibility(self) -> float:
        """How long a received message stays hidden, as chalicelib.settings has it."""
        return 6 * self.timeout

    @property
    def settled_together(self) -> int:
        """How many results one statement settles: chalicelib.worker.batch.PATIENCE tells."""
        if self.handler > PATIENCE:
            return self.threads
        if self.handler == 0:
            return self.batch
        return min(self.batch, self.threads * (int(PATIENCE / self.handler) + 1))

    @property
    def workable(self) -> int:
        """How many tasks of a batch end before the time limit; the others are released."""
        rounds = int((self.timeout - self.beside) / self.handler) if self.handler else self.batch
        return max(1, min(self.batch, rounds * self.threads))


#: What one receive, and one send, of SQS carries.
TEN = 10
PATIENCE = 0.2
