"""docs/costs.md computed anew: prices and quantities are read from it, and so are the dollars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = ROOT / "docs" / "costs.md"
MILLION = 1e6
GB = 1e9
SIZES = {"10 thousand": 1e4, "1 million": 1e6, "100 million": 1e8}
#: By the first cell of its head, what a table is.
PRICES, TASK, MONTH = "price", "a task takes", "a month, or one of it, takes"
IDLE, BESIDE, DEAR, OPTIONS, LOOKS = (
    "idle",
    "beside it",
    "dollars per million tasks",
    "what moves the bill",
    "the page, a thousand times",
)

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page: its head, and its rows by their first cell."""

    head: list[str]
    rows: dict[str, list[str]]


def tables(text: str) -> dict[str, Table]:
    """Return the page's tables by the first cell of their heads."""
    found = {}
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in _cells(line)] for line in block.splitlines()]
        found[head[0]] = Table(head[1:], {row[0]: row[1:] for row in rows})
    return found


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").split("|")


def number(cell: str) -> float:
    """Return the number a cell begins with."""
    matched = re.match(r"([0-9][0-9,]*(?:\.[0-9]+)?)", cell)
    assert matched, f"no number in {cell!r}"
    return float(matched[1].replace(",", ""))


def dollars(amount: float) -> str:
    """Return an amount as the page shows it; what is saved has a minus."""
    return f"{amount:,.2f}"


class Bill:
    """What the page's prices and quantities come to."""

    def __init__(self, text: str) -> None:
        held = tables(text)
        self.price = {name: number(row[0]) for name, row in held[PRICES].rows.items()}
        self.month = {name: number(row[0]) for name, row in held[MONTH].rows.items()}
        self.ways = held[TASK].head[:3]
        self.task = {
            way: {name: number(row[place]) for name, row in held[TASK].rows.items()}
            for place, way in enumerate(self.ways)
        }

    # One part of the bill each, in dollars.

    def seconds(self, seconds: float, architecture: str = "x86") -> float:
        """Lambda's seconds, at the memory that the functions have."""
        return (
            seconds * self.month["GB of memory"] * self.price[f"Lambda GB-second, {architecture}"]
        )

    def invocations(self, count: float) -> float:
        return count * self.price["Lambda, million requests"] / MILLION

    def sqs(self, count: float) -> float:
        return count * self.price["SQS, million requests"] / MILLION

    def traces(self, count: float) -> float:
        return count * self.price["X-Ray, million traces"] / MILLION

    def logs(self, size: float, lines: float) -> float:
        """Log lines of so many bytes together, taken in, and kept for a month."""
        price = self.price["CloudWatch Logs, GB taken in"] + self.price["CloudWatch Logs, GB-month"]
        return (size + lines * self.month["bytes added to a line of log"]) / GB * price

    def metrics(self, count: float) -> float:
        """So many metrics, for a month."""
        return count * self.price["CloudWatch, metric a month"]

    def working(self) -> float:
        """The metrics of a month in which something happens, beside those of an idle one."""
        with_tasks = self.month["metrics in a month with one kind"]
        return self.metrics(with_tasks - self.month["metrics in an idle month"])

    def lines(self, way: str) -> float:
        """The log lines of one task, but for those that are metrics."""
        takes = self.task[way]
        return self.logs(takes["bytes of log by the service"], takes["lines of log by the service"])

    def metric_lines(self, way: str) -> float:
        takes = self.task[way]
        return self.logs(takes["bytes of metrics in the log"], takes["lines of metrics in the log"])

    def invocation_logs(self, count: float) -> float:
        """The three lines that Lambda itself writes for each invocation."""
        return self.logs(count * self.month["bytes of log by Lambda, an invocation"], 3 * count)

    def look(self, seconds: float | None = None) -> float:
        """One request that reads, X-Ray apart; a short one if no ``seconds`` are given."""
        if seconds is None:
            seconds = self.task[self.ways[0]]["seconds of the API (assumed)"]
        size = self.month["bytes of log by the service, a look"]
        return (
            self.price["API Gateway REST, million requests"] / MILLION
            + self.invocations(1)
            + self.seconds(seconds)
            + self.logs(size, self.month["lines of log by the service, a look"])
            + self.invocation_logs(1)
        )

    def traced(self, count: float) -> float:
        """So many of a month's events, spread evenly, are traced: one a second, and a share."""
        seconds = self.month["hours"] * 3600
        first = min(count, self.month["traces a second before sampling"] * seconds)
        return first + (count - first) * self.month["percent traced of the rest"] / 100

    def marginal(self, way: str, handler: float, architecture: str = "x86") -> Figures:
        """What one more task adds, X-Ray apart, by parts."""
        takes = self.task[way]
        runs = takes["requests to the API"] + takes["invocations of the worker"]
        lambda_seconds = (
            takes["seconds of the API (assumed)"]
            + takes["seconds of the worker beside the handler (assumed)"]
            + handler
        )
        sqs = takes["SQS: requests by the API"] + takes["SQS: requests by the mapping"]
        return {
            "API Gateway": takes["requests to the API"]
            * self.price["API Gateway REST, million requests"]
            / MILLION,
            "Lambda, requests": self.invocations(runs),
            "Lambda, GB-seconds": self.seconds(lambda_seconds, architecture),
            "SQS": self.sqs(sqs),
            "CloudWatch Logs": self.lines(way)
            + self.metric_lines(way)
            + self.invocation_logs(runs),
        }

    def xray(self, tasks: float, way: str) -> float:
        """A month's traces of so many tasks: the requests, and the worker's invocations."""
        takes = self.task[way]
        requests = self.traced(tasks * takes["requests to the API"])
        return self.traces(requests + self.traced(tasks * takes["invocations of the worker"]))

    def idle(self, architecture: str = "x86") -> Figures:
        """A month in which nothing is asked, by parts."""
        ticks = self.month["ticks of the sweeper"]
        size = ticks * self.month["bytes of log by the sweeper, a tick"]
        lines = ticks * self.month["lines of log by the sweeper, a tick"]
        return {
            "sweeper: requests of Lambda": self.invocations(ticks),
            f"sweeper: GB-seconds, {architecture}": self.seconds(
                ticks * self.month["seconds of a tick (assumed)"], architecture
            ),
            "sweeper: SQS": self.sqs(ticks * self.month["SQS requests of a tick"]),
            "sweeper: CloudWatch Logs": self.logs(size, lines) + self.invocation_logs(ticks),
            "sweeper: X-Ray": self.traces(self.traced(ticks)),
            "sweeper: EventBridge, at most": ticks
            * self.price["EventBridge, million events"]
            / MILLION,
            "mapping: empty receives": self.sqs(self.month["empty receives (assumed)"]),
            "CloudWatch alarms": self.month["alarms"] * self.price["CloudWatch, alarm a month"],
            "CloudWatch dashboard": self.month["dashboards"]
            * self.price["CloudWatch, dashboard a month"],
            "CloudWatch metrics": self.metrics(self.month["metrics in an idle month"]),
            "secret": self.month["secrets"] * self.price["Secrets Manager, secret a month"],
        }

    def total(self, tasks: float, way: str, handler: float, architecture: str = "x86") -> float:
        """A whole month of so many tasks."""
        each = sum(self.marginal(way, handler, architecture).values())
        month = sum(self.idle(architecture).values()) + self.working()
        return month + tasks * each + self.xray(tasks, way)


def expected(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each row of dollars that the page ought to have: its table, its name, its cells."""
    bill = Bill(text)
    idle = bill.idle()
    for name, amount in idle.items():
        yield IDLE, name, [dollars(amount)]
    yield IDLE, "**a month**", [dollars(sum(idle.values()))]
    for name, amount in _beside(bill).items():
        yield BESIDE, name, [dollars(amount)]
    for name, cells in _per_million(bill, tables(text)[DEAR].head):
        yield DEAR, name, cells
    for name, amount in _options(bill).items():
        yield OPTIONS, name, [dollars(amount)]
    for name, amount in _looks(bill).items():
        yield LOOKS, name, [dollars(amount)]


def _beside(bill: Bill) -> Figures:
    hours = bill.month["hours"]
    endpoints = bill.month["interface endpoints"] * bill.month["zones"]
    return {
        "VPC endpoints for `sqs` and `secretsmanager`, in two zones": endpoints
        * hours
        * bill.price["PrivateLink, endpoint-hour in a zone"],
        "or one NAT gateway": hours * bill.price["NAT gateway, hour"],
        "Aurora Serverless v2, standing at 0.5 ACU": bill.month["ACUs at rest"]
        * hours
        * bill.price["Aurora Serverless v2, ACU-hour"],
        "a second queue (`PRIORITY_QUEUE=on`): its mapping and three alarms": bill.sqs(
            bill.month["empty receives (assumed)"]
        )
        + 3 * bill.price["CloudWatch, alarm a month"],
        "Aurora's storage, for a million tasks of the last 30 days": MILLION
        * bill.month["bytes in the database, a task"]
        / GB
        * bill.price["Aurora storage, GB-month"],
    }


def _per_million(bill: Bill, head: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    columns = []
    for title in head:
        size, _, way = title.partition(", ")
        columns.append((SIZES[size], way))
    short, long = bill.month["seconds of a short handler"], bill.month["seconds of a long handler"]
    for name in bill.marginal(bill.ways[0], short):
        amounts = (bill.marginal(way, short)[name] * MILLION for _, way in columns)
        yield name, [dollars(amount) for amount in amounts]
    yield "X-Ray", [dollars(bill.xray(n, way) * MILLION / n) for n, way in columns]
    yield (
        "CloudWatch metrics, of one kind",
        [dollars(bill.working() * MILLION / n) for n, _ in columns],
    )
    idle = sum(bill.idle().values())
    yield "its share of the idle month", [dollars(idle * MILLION / n) for n, _ in columns]
    for handler, told in ((short, "0.1 s"), (long, "1 s")):
        for architecture in ("x86", "arm64"):
            row = (bill.total(n, way, handler, architecture) * MILLION / n for n, way in columns)
            name = f"**together, {told}, {architecture}**"
            yield name, [dollars(amount) for amount in row]
    months = (bill.total(n, way, short) for n, way in columns)
    yield "the month's bill, 0.1 s, x86", [dollars(amount) for amount in months]


def _options(bill: Bill) -> Figures:
    alone, ten, hundred = bill.ways
    short, long = bill.month["seconds of a short handler"], bill.month["seconds of a long handler"]

    def each(way: str) -> float:
        return sum(bill.marginal(way, short).values())

    return {
        "`POST /tasks/batch` of a hundred instead of a hundred `POST /tasks`": -MILLION
        * (each(alone) - each(hundred)),
        "single `POST`s, but ten to a batch (many at once, or a longer `BATCH_WINDOW`)": -MILLION
        * (each(alone) - each(ten)),
        "handlers of 1 s on arm64 instead of x86": -MILLION
        * (bill.seconds(long) - bill.seconds(long, "arm64")),
        "handlers of 1 s at half the memory, should they take no longer": -MILLION
        * bill.seconds(long)
        / 2,
        "`LOG_LEVEL=WARNING`": -MILLION * bill.lines(alone),
        "`METRICS=off`, at a million tasks a month one by one, of one kind": -MILLION
        * bill.metric_lines(alone)
        - bill.metrics(bill.month["metrics in a month with one kind"]),
        "no tracing, at a million tasks a month one by one": -bill.xray(MILLION, alone),
        "a million `GET /tasks/{id}`": MILLION * bill.look(),
        "a million waits of 20 s (`Prefer: wait=20`)": MILLION
        * bill.look(bill.month["seconds of a long wait"]),
        "fair queues, for tasks that come one by one, at most": MILLION
        * (
            bill.task[alone]["SQS: requests by the API"]
            + bill.task[alone]["SQS: requests by the mapping"]
        )
        * bill.price["SQS, million requests of a fair queue, besides"]
        / MILLION,
        "each second of a million waits": MILLION * bill.seconds(1),
    }


def _looks(bill: Bill) -> Figures:
    # One person's looks are fewer than one a second, so each may be traced.
    look, trace = bill.look(), bill.traces(1)
    stats = look + trace + bill.sqs(bill.month["SQS requests of `GET /stats`, at most"])
    hourly = bill.month["looks of the page in an hour, at most"]
    held = bill.month["seconds of a long wait"]
    files = bill.month["files of the page"]
    return {
        "it is opened": 1000 * (files * (look + trace) + stats),
        "the overview stays in sight for an hour": 1000 * hourly * stats,
        "the list stays in sight for an hour": 1000 * hourly * (look + trace),
        "a task that is being worked stays in sight for an hour": 1000
        * 3600
        / held
        * (bill.look(held) + trace),
    }


def stale(text: str) -> list[str]:
    """Return each row of dollars that is not what prices and quantities come to."""
    held = tables(text)
    told = list(expected(text))
    wrong = [
        f"| {name} | {' | '.join(cells)} |"
        for table, name, cells in told
        if held[table].rows.get(name, [])[: len(cells)] != cells
    ]
    known = {(table, name) for table, name, _ in told}
    for table in (IDLE, BESIDE, DEAR, OPTIONS, LOOKS):
        wrong += [
            f"not computed: {name}" for name in held[table].rows if (table, name) not in known
        ]
    return wrong
