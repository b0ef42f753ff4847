"""What so many tasks a second need, while they come evenly: sums that need no simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.simulate.given import TEN, Limits, Statements
from chalicelib.chalice_cli import capacity
from tests.costs import PAGE, Bill

if TYPE_CHECKING:
    from bench.simulate.given import Stage

#: ACUs in whose company a core comes. Source: AWS, agent-toolkit-for-aws, "Aurora serverless —
#: Inline Formulas": 4 ACU a vCPU for the families of instances that Aurora's ratio is taken from.
ACU_OF_A_CORE = 4
#: Source: Amazon RDS API Reference, ServerlessV2ScalingConfiguration.
MOST_ACU = 256
#: The greatest MAXIMUM_CONCURRENCY. Source: AWS CloudFormation, ScalingConfig.
MOST_OF_A_MAPPING = 1_000
#: What PostgreSQL's largest table takes. Source: Amazon Aurora User Guide, "Managing Aurora
#: PostgreSQL Limitless Database".
TABLE = 32 * 2**40
_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a rate needs, all of it at once or a second."""

    requests: float
    batches: float
    api: float
    workers: float
    connections: float
    commits: float
    cores: float
    sqs: float
    in_flight: float

    @property
    def acu(self) -> float:
        """What bears the statements, if one core of this machine is as fast as one of Aurora's."""
        return max(0.5, math.ceil(self.cores * ACU_OF_A_CORE * 2) / 2)

    @property
    def acu_of_connections(self) -> float | None:
        """The maximum capacity that allows the connections, as packaging reckons it."""
        least = capacity.least(math.ceil(self.connections))
        return least[1] if least else None


def need(rate: float, stage: Stage, takes: Statements | None = None) -> Need:
    """Reckon with full batches, and with a core for every statement."""
    takes = takes or Statements()
    batch = stage.workable
    settled = min(stage.settled_together, batch)
    settles = -(-batch // settled)
    create = takes.create[0] + takes.create[1] * stage.together
    works = (
        takes.claim[0]
        + takes.claim[1] * batch
        + takes.settle[0] * settles
        + takes.settle[1] * batch
    )
    requests, batches = rate / stage.together, rate / batch
    running = stage.beside + -(-batch // stage.threads) * stage.handler + works
    api, workers = requests * (stage.request + create), batches * running
    sent = requests * -(-stage.together // TEN)
    return Need(
        requests=requests,
        batches=batches,
        api=api,
        workers=workers,
        connections=api + workers + 3,  # the sweeper, migrate and admin, as capacity has it
        commits=requests + batches * (1 + settles),
        cores=requests * create + batches * works,
        sqs=sent + batches * 2 * -(-batch // TEN),
        in_flight=workers * batch,
    )


def shares(rate: float, stage: Stage, limits: Limits | None = None) -> dict[str, float]:
    """Return which part of each limit a rate takes; what is over 1 is too much."""
    limits, needed = limits or Limits(), need(rate, stage)
    return {
        "API Gateway": needed.requests / limits.gateway_rate,
        "Lambda's concurrency": (needed.api + needed.workers) / limits.account,
        "Lambda's requests": (needed.requests + needed.batches)
        / (limits.account * limits.requests_each),
        "one mapping": needed.workers / MOST_OF_A_MAPPING,
        "in flight": needed.in_flight / limits.in_flight,
        "connections": needed.connections / limits.connections,
        "the database's cores": needed.cores * ACU_OF_A_CORE / MOST_ACU,
    }


def reached(stage: Stage) -> dict[str, float]:
    """Return by limit at how many tasks a second it is reached, the first one first."""
    rates = {name: 1 / (share / 1e6) for name, share in shares(1e6, stage).items()}
    return dict(sorted(rates.items(), key=lambda item: item[1]))


def dollars(rate: float, way: str, stage: Stage) -> tuple[float, float | None]:
    """Return a month's bill as docs/costs.md reckons it, and Aurora's capacity besides.

    The second is None where no capacity is enough.
    """
    bill = Bill(PAGE.read_text(encoding="utf-8"))
    hours = bill.month["hours"]
    acu = need(rate, stage).acu
    price = bill.price["Aurora Serverless v2, ACU-hour"]
    aurora = acu * hours * price if acu <= MOST_ACU else None
    return bill.total(rate * hours * _HOUR, way, stage.handler), aurora


def table_rate(days: float) -> float:
    """Return the tasks a second at which the table is full, if rows are kept for so many days."""
    bill = Bill(PAGE.read_text(encoding="utf-8"))
    return TABLE / bill.month["bytes in the database, a task"] / (days * 24 * _HOUR)
