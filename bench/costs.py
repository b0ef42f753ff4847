"""What a million tasks cost by the prices of docs/costs.md, with the calls and times of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.budgets import OURS, PLAIN
from bench.measure import BATCH, CREATE, WORK
from tests.costs import MILLION, PAGE, Bill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.lane import Case
    from bench.measure import Cell

#: Who, how it is asked, and how many messages a batch has.
_WAYS = ((OURS, CREATE, 1), (OURS, CREATE, 10), (OURS, BATCH, 10), (PLAIN, CREATE, 10))
#: What the calls cost; logs, traces and metrics are as the stage wants them.
_PARTS = ("API Gateway", "Lambda, requests", "Lambda, GB-seconds", "SQS")


def of_million(cells: Sequence[Cell], cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return a row of dollars for each way that tasks may come; a handler takes 0.1 s."""
    return list(_rows({(c.case, c.name): c for c in cells}, {c.name: c for c in cases}))


def _rows(cells: dict[tuple[str, str], Cell], cases: dict[str, Case]) -> Iterator[dict[str, Any]]:
    bill = Bill(PAGE.read_text(encoding="utf-8"))
    handler = bill.month["seconds of a short handler"]
    for who, asked, batch in _WAYS:
        together = 1 if who == PLAIN else cases[asked].batch
        create, work = cells[asked, who], cells[WORK[batch], who]
        takes = _takes(create, work, together, batch)
        bill.task[who] = bill.task[bill.ways[0]] | takes
        parts = bill.marginal(who, handler)
        dollars = {part: parts[part] * MILLION for part in _PARTS}
        yield {
            "who": who,
            "tasks in a POST": together,
            "in a batch": batch,
            "SQS requests": create.aws_calls + takes["SQS: requests by the mapping"],
            "billed ms": create.task + work.task,
            **{f"{part}, $": amount for part, amount in dollars.items()},
            "together, $": sum(dollars.values()),
        }


def _takes(create: Cell, work: Cell, together: int, batch: int) -> dict[str, float]:
    return {
        "requests to the API": 1 / together,
        "invocations of the worker": 1 / batch,
        "SQS: requests by the API": create.aws_calls,
        # Lambda receives and deletes a batch at once, as the page takes it.
        "SQS: requests by the mapping": 2 / batch,
        "seconds of the API (assumed)": create.task / 1000,
        "seconds of the worker beside the handler (assumed)": work.task / 1000,
    }
