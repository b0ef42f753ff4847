"""The tables of docs/scale.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.percentiles import percentile
from bench.simulate import plan
from bench.simulate.engine import Simulation
from bench.simulate.given import Limits, Stage, Statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.simulate.told import Told

RATES = (10, 1_000, 100_000)
HANDLERS = (0.05, 1.0, 10.0)
BATCHES = (1, 10, 100)
#: How tasks come: in words of docs/costs.md, tasks in a request, seconds of one, batch.
WAYS = {
    "one by one": (1, 0.05, 1),
    "one by one, ten to a batch": (1, 0.05, 10),
    "by the hundred": (100, 0.3, 10),
}
POLLERS = Limits(mapping_start=20, mapping_growth=1000 / 60, mapping_most=20_000, account=4_900)
#: Connections at the AuroraMaxCapacity that a stage has of itself, see chalice_cli/capacity.py.
AT_FOUR_ACU = 189 + int((3360 - 189) / 15 * 3) - 3


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def shown(value: float) -> str:
    """Return a number with three figures that count, or all before the point."""
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"


def stage(handler: float, batch: int, *, together: int = 1, request: float = 0.05) -> Stage:
    """Return a stage whose worker may take 900 s where it has to, and a window where AWS asks."""
    longest = batch * handler + 1
    return Stage(
        handler=handler,
        batch=batch,
        window=1 if batch > 10 else 0,  # noqa: PLR2004
        timeout=60 if longest < 60 else 900,  # noqa: PLR2004
        together=together,
        request=request,
    )


def needs() -> Iterator[str]:
    """Yield what each rate needs."""
    head = ["tasks/s", "handler", "batch", "API", "workers", "connections", "ACU for these"]
    head += ["commits/s", "cores", "ACU for these", "SQS calls/s", "first to be reached", "at"]
    yield from table(head, (_need(*case) for case in _cases()))


def _cases() -> Iterator[tuple[float, float, int]]:
    for rate in RATES:
        for handler in HANDLERS:
            for batch in BATCHES:
                yield rate, handler, batch


def _need(rate: float, handler: float, batch: int) -> list[str]:
    together, request = (1, 0.05) if rate < max(RATES) else (100, 0.3)
    one = stage(handler, batch, together=together, request=request)
    needed = plan.need(rate, one)
    first, at = next(iter(plan.reached(one).items()))
    allowed = needed.acu_of_connections
    return [
        shown(rate),
        f"{handler:g} s",
        f"{batch}" if one.workable == batch else f"{batch} ({one.workable} worked)",
        shown(needed.api),
        shown(needed.workers),
        shown(needed.connections),
        "none" if allowed is None else f"{allowed:g}",
        shown(needed.commits),
        shown(needed.cores),
        f"{needed.acu:g}" if needed.acu <= plan.MOST_ACU else f"{needed.acu:,.0f}: none",
        shown(needed.sqs),
        first,
        shown(at),
    ]


def bottlenecks() -> Iterator[str]:
    """Yield by limit the rate at which it is reached."""
    columns = {
        f"{way}, {handler:g} s": stage(handler, batch, together=together, request=request)
        for way, (together, request, batch) in WAYS.items()
        for handler in HANDLERS
    }
    rates = {title: plan.reached(one) for title, one in columns.items()}
    names = plan.reached(Stage())
    rows = ([name, *(shown(found[name]) for found in rates.values())] for name in names)
    yield from table(["tasks a second at which it is reached", *columns], rows)


def money() -> Iterator[str]:
    """Yield what a month costs."""
    head = ["tasks/s", "how they come", *(f"{h:g} s" for h in HANDLERS)]
    head += [f"Aurora, {h:g} s" for h in HANDLERS]
    rows = []
    for rate in RATES:
        for way, (together, request, batch) in WAYS.items():
            stages = [stage(h, batch, together=together, request=request) for h in HANDLERS]
            both = [plan.dollars(rate, way, one) for one in stages]
            cells = [f"{bill:,.0f}" for bill, _ in both]
            cells += ["none" if cost is None else f"{cost:,.0f}" for _, cost in both]
            rows.append([f"{rate:,}", way, *cells])
    yield from table(head, rows)


def backlog(tasks: int = 1_000_000) -> Iterator[str]:
    """Yield how a backlog drains."""
    rows = []
    for handler in HANDLERS[:2]:
        for maximum in (10, 100, 1_000):
            told = _run(Stage(handler=handler, maximum=maximum), backlog=tasks)
            rows.append(_drained(handler, str(maximum), told))
        told = _run(Stage(handler=handler, maximum=None), POLLERS, backlog=tasks)
        rows.append(_drained(handler, "pollers, 4,900 in the account", told))
    told = _run(Stage(threads=8, maximum=1_000), backlog=tasks)
    rows.append(_drained(1, "1000, eight beside each other", told))
    head = ["handler", "`MAXIMUM_CONCURRENCY`", "drained after", "tasks/s", "most workers"]
    yield from table([*head, "cores in use", "what held it up most"], rows)


def _drained(handler: float, maximum: str, told: Told) -> list[str]:
    return [
        f"{handler:g} s",
        maximum,
        _long(told.drained),
        shown(told.done / told.drained),
        f"{told.peaks['running']:,}",
        shown(told.busy / told.drained),
        _most(told),
    ]


def _long(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"  # noqa: PLR2004


def _most(told: Told) -> str:
    return told.bound.most_common(1)[0][0] if told.bound else "nothing"


def burst(tasks: int = 10_000) -> Iterator[str]:
    """Yield what a burst within a second does to waits."""
    rows = []
    for handler in (0.05, 1.0):
        for maximum in (10, 100, 1_000):
            told = _run(Stage(handler=handler, maximum=maximum), asked=tasks)
            rows.append([f"{handler:g} s", str(maximum), *_burst(told)])
    four = Limits(connections=AT_FOUR_ACU)
    small = _run(Stage(), four, asked=tasks)
    rows.append(["1 s", "10, Aurora of 4 ACU", *_burst(small)])
    reserved = _run(Stage(reserve=50), four, asked=tasks)
    rows.append(["1 s", "10, the same, a reserve of 50 for the API", *_burst(reserved)])
    beside = _run(Stage(threads=8, maximum=1_000), asked=tasks)
    rows.append(["1 s", "1000, eight beside each other", *_burst(beside)])
    together = _run(Stage(maximum=1_000, together=100, request=0.3), asked=tasks)
    rows.append(["1 s", "1000, in 100 requests", *_burst(together)])
    head = ["handler", "`MAXIMUM_CONCURRENCY`", "answer, p50", "p99", "wait, p50", "p99"]
    yield from table([*head, "drained after", "connections", "refused"], rows)


def _burst(told: Told) -> Iterator[str]:
    for times in (told.accepted, told.waits):
        yield from (shown(percentile(times, part)) for part in (50, 99))
    yield _long(told.drained)
    yield f"{told.peaks['connections']:,}"
    yield f"{told.refused:,}"


def over_time(tasks: int = 10_000, *, width: float = 10) -> Iterator[str]:
    """Yield the waits of such a burst as time passes."""
    told = _run(Stage(handler=1, maximum=1_000), asked=tasks)
    rows = (
        [f"{when:g} to {when + width:g} s", f"{count:,}", shown(half), shown(most)]
        for when, count, half, most in told.over_time(width)
    )
    yield from table(["handlers that began", "tasks", "wait, p50", "p99"], rows)


def starved(rate: float = 20, seconds: int = 600) -> Iterator[str]:
    """Yield what happens when the maximum concurrency is lower than what is needed."""
    rows = []
    asked = [(number / rate, 1) for number in range(int(rate * seconds))]
    for maximum in (10, 15, 20, 25, 40):
        told = Simulation(Stage(maximum=maximum), Limits(), Statements()).run(asked)
        waits = list(told.over_time(60))
        row = [str(maximum), f"{told.peaks['waiting']:,}", shown(waits[0][2]), shown(waits[9][2])]
        rows.append([*row, shown(percentile(told.waits, 99)), _long(told.drained - seconds)])
    head = ["`MAXIMUM_CONCURRENCY`", "most waiting", "wait in the first minute, p50"]
    yield from table([*head, "in the tenth", "p99 of all", "drained after the last"], rows)


def _run(one: Stage, limits: Limits | None = None, *, asked: int = 0, backlog: int = 0) -> Told:
    count = asked // one.together
    requests = [(number / count, one.together) for number in range(count)]
    return Simulation(one, limits or Limits(), Statements()).run(requests, backlog)
