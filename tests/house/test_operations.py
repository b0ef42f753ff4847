"""docs/operations.md tells of events, metrics and alarms as the code and the template have them."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections import defaultdict
from typing import Any

import pytest

from chalicelib.metrics import TOLD_BY, Metrics
from tests.costs import PAGE, Bill
from tests.house import logged
from tests.tree import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its head."""
    _, _, rest = DOCUMENT.partition(f"\n## {section}\n")
    text, *_ = rest.split("\n## ")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


def group(name: str) -> set[str]:
    """Return the fields that the document says a group has."""
    found = re.search(rf"^\* \*{name}\*: (.+(?:\n  .+)*)", DOCUMENT, re.MULTILINE)
    assert found
    return set(re.findall(r"`(\w+)`", found[1]))


def told() -> dict[str, tuple[str, frozenset[str]]]:
    """Return each event of the document with its level and its fields."""
    found = {}
    for event, level, cell, _ in rows("Log lines"):
        fields = set(re.findall(r"`(\w+)`", cell))
        fields = fields.union(*map(group, re.findall(r"(?<!\*)\*(\w+)\*", cell)))
        found[event.strip("`")] = (level, frozenset(fields))
    return found


def test_every_event_is_told_with_its_level_and_its_fields() -> None:
    levels: defaultdict[str, set[str]] = defaultdict(set)
    fields: defaultdict[str, set[str]] = defaultdict(set)
    for line in logged.lines():
        levels[line.event].add(line.level)
        fields[line.event] |= line.fields
    assert max(map(len, levels.values())) == 1
    logs = {event: (*levels[event], frozenset(some)) for event, some in fields.items()}
    assert told() == logs


def test_the_groups_of_fields_are_those_that_the_code_has() -> None:
    assert group("exception") == logged.EXCEPTION
    [facts] = logged.named_functions("facts")
    assert group("attempt") == logged.returned(facts)


@pytest.mark.parametrize(
    "call",
    ['logger.info(f"task_{x}")', 'logger.info("x", extra={name: 1})', 'logger.info("x", extra=y)'],
)
def test_a_line_that_cannot_be_read_is_noticed(call: str) -> None:
    [function] = logged.functions(ast.parse(f"def f():\n    {call}"))
    [found] = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    with pytest.raises(ValueError, match=r"literal|does not say"):
        logged.read(found, function)


RESOURCES = json.loads(
    (ROOT / "chalice_app" / ".chalice" / "resources.json").read_text(encoding="utf-8")
)["Resources"]
OURS = "${METRICS_NAMESPACE}"
SEARCH = re.compile(
    r"""SEARCH\('\{"(?P<namespace>.+?)",(?P<dimensions>[\w,]+)\} """
    r"""MetricName="(?P<name>\w+)" Stage="\$\{STAGE\}"', '\w+', \d+\)"""
)

Metric = tuple[str, frozenset[str]]


class Documents(logging.Handler):
    """Keeps what is told to CloudWatch."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics: set[Metric] = set()
        self.units: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        for directive in getattr(record, "_aws", {}).get("CloudWatchMetrics", ()):
            for metric in directive["Metrics"]:
                self.units[metric["Name"]] = metric["Unit"]
                for dimensions in directive["Dimensions"]:
                    self.metrics.add((metric["Name"], frozenset(dimensions)))


@pytest.fixture(scope="module")
def emitted() -> Documents:
    """Everything that the code tells CloudWatch, if everything happens once."""
    service, kept = logging.getLogger("chalicelib"), Documents()
    metrics = Metrics("ChaliceTasks", "prod", frozenset({"default"}))
    level = service.level
    service.setLevel(logging.INFO)
    for handler in (metrics, kept):
        service.addHandler(handler)
    with metrics.invocation():
        for event, values in TOLD_BY.items():
            fields = {what: 1.5 for what in values.values() if isinstance(what, str)}
            service.info(event, extra={"kind": "default", **fields})
    for handler in (metrics, kept):
        service.removeHandler(handler)
    service.setLevel(level)
    return kept


def alarms() -> dict[str, dict[str, Any]]:
    found = (one for one in RESOURCES.values() if one.get("Type") == "AWS::CloudWatch::Alarm")
    return {one["Properties"]["AlarmName"]: one["Properties"] for one in found}


def watched() -> set[Metric]:
    """Return the service's own metrics that alarms watch."""
    found: set[Metric] = set()
    for alarm in alarms().values():
        parts = (one.get("MetricStat", {}).get("Metric", {}) for one in alarm.get("Metrics", ()))
        for metric in (alarm, *parts):
            if metric.get("Namespace") == OURS:
                dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
                assert dimensions["Stage"] == "${STAGE}"
                found.add((metric["MetricName"], frozenset(dimensions)))
    return found


def shown() -> set[Metric]:
    """Return the service's own metrics that the dashboard shows."""
    found: set[Metric] = set()
    for widget in RESOURCES["TasksDashboard"]["Properties"]["DashboardBody"]["widgets"]:
        for source, *rest in widget["properties"].get("metrics", ()):
            if source == OURS:
                name, *dimensions = (one for one in rest if isinstance(one, str))
                assert dimensions == ["Stage", "${STAGE}"]
                found.add((name, frozenset(dimensions[::2])))
            elif isinstance(source, dict):
                search = SEARCH.fullmatch(source["expression"])
                assert search
                assert search["namespace"] == OURS
                found.add((search["name"], frozenset(search["dimensions"].split(","))))
    return found


def test_alarms_and_dashboard_name_metrics_that_the_code_tells(emitted: Documents) -> None:
    assert watched() == {
        (name, frozenset({"Stage"})) for name in ("OutboxLag", "Completed", "Failed")
    }
    assert watched() <= emitted.metrics
    assert shown() <= emitted.metrics


def test_every_metric_is_on_the_dashboard(emitted: Documents) -> None:
    assert {name for name, _ in shown()} == emitted.units.keys()


def test_every_metric_is_told_with_its_unit_and_its_dimensions(emitted: Documents) -> None:
    told_of = {}
    for name, unit, dimensions, _ in rows("Metrics"):
        sets = {frozenset(re.findall(r"`(\w+)`", some)) for some in dimensions.split(";")}
        told_of[name.strip("`")] = (unit, sets)
    assert told_of == {
        name: (unit, {dimensions for other, dimensions in emitted.metrics if other == name})
        for name, unit in emitted.units.items()
    }


def test_what_the_metrics_are_counted_to_cost_is_how_many_there_are(emitted: Documents) -> None:
    of_stage = {name for name, dimensions in emitted.metrics if dimensions == {"Stage"}}
    of_kind = {name for name, dimensions in emitted.metrics if "Kind" in dimensions}
    assert (len(of_stage), len(of_kind)) == (11, 6)
    assert "eleven for a stage, and six more for each kind" in " ".join(DOCUMENT.split())


def test_every_alarm_is_told_and_is_on_the_dashboard() -> None:
    named = {name.removeprefix("tasks-${STAGE}-") for name in alarms()}
    assert sorted(row[0].strip("`") for row in rows("Alarms")) == sorted(named)
    widgets = RESOURCES["TasksDashboard"]["Properties"]["DashboardBody"]["widgets"]
    [arns] = [one["properties"]["alarms"] for one in widgets if one["type"] == "alarm"]
    assert {arn.rpartition(":")[2] for arn in arns} == alarms().keys()


@pytest.mark.parametrize("row", rows("Alarms"), ids=lambda row: row[0])
def test_what_an_alarm_says_to_look_for_is_logged_or_measured(row: list[str]) -> None:
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", row[2]))
    known = {line.event for line in logged.lines()}
    assert names <= known


def test_what_the_costs_count_is_how_many_metrics_there_are(emitted: Documents) -> None:
    month = Bill(PAGE.read_text(encoding="utf-8")).month
    assert month["metrics in a month with one kind"] == len(emitted.metrics)
    assert month["dashboards"] == 1
