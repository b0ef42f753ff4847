"""What docs/costs.md says in dollars is what its prices and quantities come to, and is sourced."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest

from chalicelib.settings import Settings
from tests.costs import DEAR, IDLE, LOOKS, MONTH, PAGE, PRICES, TASK, Bill, number, stale, tables
from tests.packages import configuration
from tests.tree import ROOT

TEXT = PAGE.read_text(encoding="utf-8")
HELD = tables(TEXT)
BILL = Bill(TEXT)
CHALICE = ROOT / "chalice_app" / ".chalice"
INPUTS = [
    (table, name, place)
    for table, most in ((PRICES, 1), (MONTH, 1), (TASK, 3))
    for name in HELD[table].rows
    for place in range(most)
]


def read(name: str) -> Any:
    return json.loads((CHALICE / name).read_text(encoding="utf-8"))


def with_cell(table: str, name: str, place: int, value: str) -> str:
    """Return the page with one cell changed."""
    cells = HELD[table].rows[name]
    changed = [value if at == place else cell for at, cell in enumerate(cells)]
    line = rf"^\| {re.escape(name)} \|.*$"
    text, count = re.subn(line, f"| {name} | {' | '.join(changed)} |", TEXT, flags=re.MULTILINE)
    assert count == 1
    return text


def test_every_row_of_dollars_is_what_prices_and_quantities_come_to() -> None:
    wrong = stale(TEXT)
    assert not wrong, "\n".join(["these rows ought to be:", *wrong])


def test_every_dollar_in_the_text_stands_in_a_table() -> None:
    text = re.sub(r"^\|.*$", "", TEXT, flags=re.MULTILINE)
    told = set(re.findall(r"\$([0-9][0-9,.]*[0-9])", text))
    cells = {c.removeprefix("-") for t in HELD.values() for row in t.rows.values() for c in row}
    assert told
    assert told <= cells


@pytest.mark.parametrize(("table", "name", "place"), INPUTS)
def test_a_changed_price_or_quantity_leaves_a_stale_figure(
    table: str, name: str, place: int
) -> None:
    value = number(HELD[table].rows[name][place])
    assert stale(with_cell(table, name, place, f"{3 * value:.12f}"))


@pytest.mark.parametrize("table", [IDLE, DEAR, LOOKS])
def test_a_figure_that_was_changed_by_hand_is_noticed(table: str) -> None:
    for name, cells in HELD[table].rows.items():
        for place in range(len(cells)):
            assert len(stale(with_cell(table, name, place, "0.99"))) == 1


def test_every_price_names_its_source_and_a_day() -> None:
    for name, (_, source, day) in HELD[PRICES].rows.items():
        assert source, name
        assert date.fromisoformat(day) < date(2100, 1, 1), name
        for letter in re.findall(r"\b([A-Z])\b", source):
            assert f"* **{letter}**: " in TEXT
    for source in re.findall(r"^\* \*\*[A-Z]\*\*: ((?:.|\n  )*)", TEXT, re.MULTILINE):
        assert "https://" in source


def test_the_quantities_are_those_of_the_template_and_the_settings() -> None:
    config, resources = configuration(), read("resources.json")["Resources"]
    month, settings = BILL.month, Settings.model_validate({})
    alone, ten, hundred = (BILL.task[way] for way in BILL.ways)
    alarms = [one for one in resources.values() if one.get("Type") == "AWS::CloudWatch::Alarm"]
    assert month["alarms"] == len(alarms)
    assert month["GB of memory"] == config["lambda_memory_size"] / 1024
    assert month["ticks of the sweeper"] == month["hours"] * 60
    polls = (
        month["hours"]
        * 3600
        / resources["TasksQueue"]["Properties"]["ReceiveMessageWaitTimeSeconds"]
    )
    assert month["empty receives (assumed)"] == 5 * polls
    batch = "invocations of the worker"
    assert alone[batch] == 1
    assert ten[batch] == hundred[batch] == 1 / settings.batch_size
    for takes in (alone, ten, hundred):
        assert takes["SQS: requests by the mapping"] == pytest.approx(2 * takes[batch])


def test_the_page_asks_as_often_as_is_paid_for() -> None:
    folder = ROOT / "chalice_app" / "chalicelib" / "static" / "page"
    told = {
        (name, constant): int(found)
        for name in ("overview", "tasks", "task")
        for constant, found in re.findall(
            r"^const (EVERY|HOLD) = (\d+);",
            (folder / f"{name}.js").read_text("utf-8"),
            re.MULTILINE,
        )
    }
    every = 3600 / BILL.month["looks of the page in an hour, at most"]
    held = BILL.month["seconds of a long wait"]
    assert told == {("overview", "EVERY"): every, ("tasks", "EVERY"): every, ("task", "HOLD"): held}
    page = (folder / "index.html").read_text("utf-8")
    loaded = re.findall(r'<(?:link|script)[^>]* (?:href|src)="\{root\}/', page)
    assert BILL.month["files of the page"] == 1 + len(loaded)


def test_maximum_concurrency_is_set_so_five_pollers_never_become_two() -> None:
    snapshot = ROOT / "tests" / "template" / "sam.snapshot.json"
    functions = json.loads(snapshot.read_text(encoding="utf-8"))["Resources"]
    [mapping] = functions["Worker"]["Properties"]["Events"].values()
    assert mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_all_of_it_is_traced_unless_it_is_turned_off_in_two_places() -> None:
    assert configuration()["xray"] is True
    assert read("resources.json")["Resources"]["RestAPI"]["Properties"]["TracingEnabled"] is True
