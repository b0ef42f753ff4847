"""What the benchmark counts, sums up and says."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench import batches, costs, pictures, promises
from bench.budgets import Budget, of_cells
from bench.clients import NO_ANSWER, Posted
from bench.measure import BATCH, CREATE, SEND, WORK, Cell, cases
from bench.report import Report
from bench.told import budgets, summed
from bench.whole import Load, Run
from bench.wire import Statements
from tests.costs import MILLION, PAGE, Bill

if TYPE_CHECKING:
    from pathlib import Path


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
START = _message(b"", struct.pack("!i", 196608) + b"user\0postgres\0\0")
PASSWORD = _message(b"p", b"SCRAM")
SAID = (
    SSL_REQUEST
    + START
    + PASSWORD
    + _message(b"Q", b"begin\0")
    + _message(b"Q", b"select 'Q'\0")
    + _message(b"P", b"\0select 1\0\0\0")
    + _message(b"E", b"\0\0\0\0\0")
    + _message(b"X", b"")
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(SAID)])
def test_statements_are_counted_however_what_is_sent_is_cut(size: int) -> None:
    statements = Statements()
    parts = [SAID[first : first + size] for first in range(0, len(SAID), size)]
    assert sum(statements.count(part) for part in parts) == 3


def cells() -> list[Cell]:
    """Cells in which the plain algorithm needs ten times, and the bare calls half, of ours."""
    times = {"ours": 1.0, "ours+keys": 1.0, "plain": 10.0, "floor": 0.5}
    return [
        Cell(case, name, time, time, time, time, 1, 1, 1, 0, 1, 50, 10)
        for case in (CREATE, SEND, BATCH, *WORK.values())
        for name, time in times.items()
    ]


def test_a_budget_is_held_to_the_ratio_of_times() -> None:
    found = {budget.what: budget for budget in of_cells(cells())}
    create = found["create one: time per task, of the plain's"]
    assert (create.figure, create.floor, create.met) == (0.1, 0.05, True)
    assert not found["create one: time, of the floor's"].met
    assert not found["work 10: statements per task"].met


def test_a_report_shows_each_cell_and_names_what_has_no_figure() -> None:
    report = Report({"cores": "2"}, cells(), {"growth": [{"statement": "claim", "ms": None}]})
    report.budgets = [Budget("work", 0.02, 1 / 60)]
    text = report.text()
    assert text.count("| plain ") == len(cells()) / 4
    assert "| work   | 0.02     | ≤ 0.0167 | no  |" in text
    assert report.faults() == ["{'statement': 'claim', 'ms': None} has no ms"]


def test_a_report_names_a_count_that_the_server_does_not_share() -> None:
    one = replace(cells()[0], by_server=2)
    told = "create one, ours: 1 statements were counted at the wire, 2 by the server"
    assert Report({}, [one]).faults() == [told]


def _run(service: str, load: Load, seconds: float, *statuses: int) -> Run:
    times = [0.01 * (number + 1) for number in range(len(statuses))]
    posted = Posted(times, list(statuses))
    return Run(service, load, posted, posted.created * load.together, seconds, (0.02, 0.03))


ALONE, CROWD, HUNDRED = Load(1, 4), Load(16, 4), Load(1, 1, 100)


def runs() -> list[Run]:
    """Runs in which ours is ten times as fast with one client, and the plain stalls with many."""
    return [
        _run("ours", ALONE, 1, 201, 201, 201, 201),
        _run("plain", ALONE, 10, 201, 201, 201, 201),
        _run("ours", CROWD, 1, 201, 201, 201, 201),
        _run("plain", CROWD, 40, 201, 500, NO_ANSWER, 422),
        _run("ours", HUNDRED, 10, 201),
    ]


def test_a_crowd_is_held_to_answers_that_are_no_errors_and_no_stalls() -> None:
    found = {budget.what: budget for budget in budgets(summed(runs()))}
    broken = found["end to end, many clients: answers of 5xx, or none"]
    assert (broken.figure, broken.met, broken.plain) == (0, True, 2)
    slowest = found["end to end, many clients: the slowest answer, s"]
    assert (slowest.figure, slowest.plain) == (0.04, 0.04)


def test_the_whole_is_held_to_the_time_of_a_task_that_was_created() -> None:
    found = {budget.what: budget for budget in budgets(summed(runs()))}
    alone = found["end to end, one by one, 1 client: time per task, of the plain's"]
    assert (alone.figure, alone.met) == (0.1, True)
    crowd = found["end to end, one by one, 16 clients: time per task, of the plain's"]
    assert crowd.figure == pytest.approx((1 / 4) / 40)
    hundred = found["end to end, by the hundred, 1 client: time per task, of the plain's"]
    assert (hundred.figure, hundred.met) == (0.04, True)


def test_rounds_are_summed_up_by_their_medians_and_their_worst() -> None:
    rounds = [_run("ours", ALONE, seconds, 201, 201, 503) for seconds in (2, 20, 4)]
    [told] = summed(rounds)
    assert (told.p50, told.slowest, told.broken, told.task) == (0.02, 0.03, 3, 2)


def test_a_service_that_created_nothing_has_no_tasks_a_second() -> None:
    [told] = summed([_run("plain", CROWD, 40, NO_ANSWER)])
    assert told.row()["tasks/s"] == 0


def test_promises_stand_beside_what_both_were_measured_to_do() -> None:
    answer, _, begun = promises.beside(cells(), runs())
    assert (answer["ours, p50 ms"], answer["plain, p99 ms"]) == (25, 40)
    assert (begun["ours, p50 ms"], begun["plain, p50 ms"]) == (20, "")


def test_dollars_follow_from_the_calls_and_the_prices_of_the_page() -> None:
    bill = Bill(PAGE.read_text(encoding="utf-8"))
    alone, ten, thousand, plain = costs.of_million(cells(), cases(smoke=False))
    page = bill.marginal("one by one", bill.month["seconds of a short handler"])
    for part in ("API Gateway", "SQS"):
        assert alone[f"{part}, $"] == pytest.approx(page[part] * MILLION)
    assert alone["Lambda, GB-seconds, $"] == pytest.approx(bill.seconds(0.102) * MILLION)
    assert ten["SQS, $"] < alone["SQS, $"]
    assert thousand["API Gateway, $"] == pytest.approx(page["API Gateway"] * MILLION / 1000)
    assert plain["billed ms"] == 20


def test_batches_are_held_to_their_statements_and_to_flat_memory() -> None:
    rows = [
        {"who": who, "tasks": tasks, "statements": said, "MB": 50, "MB, after as many again": 60}
        for who, said in (("ours", 2), ("floor", 9))
        for tasks in (100, 1000, 10000)
    ]
    rows[2]["statements"] = 3
    found = batches.budgets(rows)
    assert [(one.figure, one.met) for one in found] == [(2, True), (3, False), (1.2, False)]


def test_a_picture_shows_the_figures_and_the_budgets(tmp_path: Path) -> None:
    panel = pictures.of_cells(cells())
    assert panel.bounds[WORK[10], "ours"] == pytest.approx(10 / 60)
    growth = [{"statement": "claim", "10 rows, p50 ms": 1.23, "20 rows, p50 ms": 1.0}]
    report = Report({}, cells())
    whole, grown = pictures.of_whole(summed(runs())), pictures.of_growth(growth, (10, 20))
    report.panels = [panel, grown, whole]
    report.draw(tmp_path / "drawn.svg")
    drawn = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert all(f">{text}<" in drawn for text in ("work 100", "1.23", "16 clients", "the budget"))
