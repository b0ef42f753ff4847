"""The sums of docs/scale.md that need no simulator, held against it and against the page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.percentiles import percentile
from bench.simulate import plan, report
from bench.simulate.engine import Simulation
from bench.simulate.given import Limits, Stage, Statements
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
STEADY = Stage(handler=2, batch=1, maximum=None, cold=0)
#: The mapping need not grow first.
GROWN = Limits(mapping_start=1000)


def test_workers_and_commits_are_what_the_simulator_says() -> None:
    asked = [(number / 20, 1) for number in range(4000)]
    told = Simulation(STEADY, GROWN, Statements()).run(asked)
    needed = plan.need(20, STEADY)
    steady = [batches for second, _, batches in told.seconds if 10 < second < 190]
    assert sum(steady) / len(steady) == pytest.approx(needed.workers, rel=0.03)
    assert told.statements / 4000 * 20 == pytest.approx(needed.commits)
    assert told.busy / 4000 * 20 == pytest.approx(needed.cores)
    assert told.sqs_calls / 4000 * 20 == pytest.approx(needed.sqs)


def test_the_first_limit_is_the_one_that_the_simulator_meets() -> None:
    stage = replace(STEADY, request=0.01)
    limits = replace(GROWN, account=50)
    rate = 1e6 / max(plan.shares(1e6, stage, limits).values())
    for part, met in ((0.9, False), (1.2, True)):
        asked = [(number / (rate * part), 1) for number in range(2000)]
        told = Simulation(stage, limits, Statements()).run(asked)
        assert (told.bound["account"] > 0) == met


def test_more_tasks_than_any_capacity_has_connections_for_have_none() -> None:
    assert plan.need(1_000, Stage(handler=1)).acu_of_connections is not None
    assert plan.need(1_000, Stage(handler=10)).acu_of_connections is None


def test_a_percentile_is_a_value_that_was_there() -> None:
    assert (percentile([3, 1, 2], 50), percentile([3, 1, 2], 99), percentile([], 50)) == (2, 3, 0)


@pytest.mark.parametrize(
    "rows",
    [
        report.needs,
        report.bottlenecks,
        report.money,
        report.burst,
        report.over_time,
        report.starved,
    ],
)
def test_the_page_has_the_tables_that_the_command_prints(
    rows: Callable[[], Iterator[str]],
) -> None:
    assert "\n".join(rows()) in PAGE


def test_the_page_has_the_speed_of_statements_that_is_simulated() -> None:
    takes = Statements()
    for name in ("create", "claim", "settle"):
        once, each = (f"{seconds * 1e3:.3f}" for seconds in getattr(takes, name))
        assert re.search(rf"^\| {name} \| {once} \| {each} \|$", PAGE, re.MULTILINE)


def test_the_page_has_the_rates_at_which_the_table_is_full() -> None:
    for kept in ("30 days", "7 days", "1 day"):
        rate = plan.table_rate(float(kept.split()[0]))
        assert f"{kept}: {report.shown(rate)} tasks a second" in PAGE
