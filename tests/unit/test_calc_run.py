"""calc.run: expressions over rows, and what they come to."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chalicelib.errors import GiveUp
from chalicelib.handlers import calc_run, registry
from localdev.testing import run

COLUMNS = {"price": [10, 20.5, None], "quantity": [2, 4, 1]}


def test_each_expression_is_computed_for_each_row_and_added_up() -> None:
    asked = {
        "columns": COLUMNS,
        "expressions": {"taxed": "round(total * 1.19, 2)", "total": "price * quantity"},
        "percentiles": [0, 50, 99.5],
    }
    result = run("calc.run", asked).result
    assert result["rows"] == 3
    assert result["results"] == {"total": [20, 82.0, None], "taxed": [23.8, 97.58, None]}
    total = result["aggregates"]["total"]
    assert (total["count"], total["sum"], total["min"], total["max"]) == (2, 102, 20, 82)
    assert total["mean"] == 51
    assert total["stdev"] == pytest.approx(statistics.stdev([20, 82]))
    assert total["percentiles"] == {"0": 20, "50": 51, "99.5": pytest.approx(81.69)}


def test_rows_may_leave_out_cells_and_may_hold_texts() -> None:
    asked = {
        "rows": [{"a": 1, "kind": "x"}, {"kind": "y"}],
        "expressions": {"b": "coalesce(a, 7) if kind in ('x', 'y') else null", "c": "kind + '!'"},
    }
    result = run("calc.run", asked).result
    assert result["results"] == {"b": [1, 7], "c": ["x!", "y!"]}
    assert result["aggregates"]["c"] is None


def test_whole_numbers_are_added_up_exactly() -> None:
    asked = {"columns": {"a": [2**60, 1, 2**60]}, "expressions": {"b": "a"}}
    result = run("calc.run", asked).result
    assert result["aggregates"]["b"]["sum"] == 2**61 + 1


def test_the_results_can_be_left_out() -> None:
    asked = {"columns": COLUMNS, "expressions": {"a": "price"}, "aggregates_only": True}
    assert run("calc.run", asked).result.keys() == {"rows", "aggregates"}


@given(values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_aggregates_are_those_of_pythons_statistics(values: list[float]) -> None:
    asked = {"columns": {"a": values}, "expressions": {"b": "a"}, "percentiles": [25, 50, 75]}
    found = run("calc.run", asked).result["aggregates"]["b"]
    assert found["mean"] == pytest.approx(statistics.fmean(values))
    assert found["stdev"] == pytest.approx(statistics.stdev(values), abs=1e-6)
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    assert list(found["percentiles"].values()) == pytest.approx(quartiles, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"columns": None}, "either columns or rows"),
        ({"rows": []}, "either columns or rows"),
        ({"columns": {"a": [1], "b": []}}, "equally long"),
        ({"expressions": {}}, "at least 1"),
        ({"expressions": {"x": "y"}}, "'x' reads no column 'y'"),
        ({"expressions": {"x": "x"}}, "'x' needs itself"),
        ({"expressions": {"x": "y", "y": "x"}}, "needs itself"),
        ({"expressions": {"price": "1"}}, "the name of two things"),
        ({"expressions": {"x": "price +"}}, "At character 1: this cannot be read"),
        ({"expressions": {"x": "price.real"}}, "At character 1: this is no part"),
        ({"percentiles": [101]}, "less than or equal to 100"),
        ({"columns": {"a": [[1]]}}, "valid"),
        ({"extra": 1}, "not permitted"),
    ],
)
def test_a_payload_that_cannot_be_computed_is_refused_when_the_task_is_made(
    change: dict[str, Any], rule: str
) -> None:
    asked = {"columns": COLUMNS, "expressions": {"x": "price"}} | change
    with pytest.raises(ValidationError, match=rule):
        registry.read("calc.run", asked)


def test_a_row_that_cannot_be_computed_is_named() -> None:
    asked = {"columns": COLUMNS, "expressions": {"x": "1 / (quantity - 4)"}}
    with pytest.raises(GiveUp, match="Expression 'x', row 2: At character 1: division by zero"):
        _ = run("calc.run", asked).result


def test_results_that_cannot_be_added_up_are_told() -> None:
    asked = {"columns": {"a": [1.7e308, 1.7e308]}, "expressions": {"x": "a"}}
    with pytest.raises(GiveUp, match="too large"):
        _ = run("calc.run", asked).result


def test_a_long_calculation_renews_its_lease() -> None:
    asked = {"columns": {"a": [1] * 25_000}, "expressions": {"x": "a"}, "aggregates_only": True}
    assert run("calc.run", asked).heartbeats == 2


def test_percentiles_that_are_close_together_are_told_apart() -> None:
    asked = {"columns": {"a": [0, 1]}, "expressions": {"b": "a"}, "percentiles": [99.9999999, 100]}
    found = run("calc.run", asked).result["aggregates"]["b"]["percentiles"]
    assert found == {"99.9999999": pytest.approx(0.999999999), "100": 1}


def test_results_that_would_take_too_much_memory_end_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calc_run, "MOST_MEMORY", 1024 * 1024)
    long, longer = '"' + "x" * 900 + '"', "+".join(["long"] * 10)
    asked = {"columns": {"a": [1] * 110}, "expressions": {"long": long, "longer": longer}}
    enough = run("calc.run", asked | {"columns": {"a": [1] * 50}, "aggregates_only": True})
    assert enough.result["rows"] == 50
    with pytest.raises(GiveUp, match="more than 1 MiB of memory"):
        assert run("calc.run", asked | {"aggregates_only": True}).result
