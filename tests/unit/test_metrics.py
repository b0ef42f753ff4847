"""Metrics are made of log lines, and told in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.logs import bound
from chalicelib.metrics import BY_KIND, BY_STAGE, TOLD_BY, Metrics
from chalicelib.settings import Settings
from tests.house import logged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes import Heard

logger = logging.getLogger("chalicelib.worker.work")


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics("ChaliceTasks", "prod", frozenset({"mail", "report"}))
    logging.getLogger("chalicelib").addHandler(made)
    yield made
    logging.getLogger("chalicelib").removeHandler(made)


def told(heard: Heard) -> list[dict[str, Any]]:
    """Return the documents that were logged, each checked against the specification."""
    documents = heard.told("metrics")
    for document in documents:
        check(document)
    return documents


def check(document: dict[str, Any]) -> None:
    """Hold a document to the specification of the embedded metric format, as far as it is used."""
    assert type(document["_aws"].pop("Timestamp")) is int
    [directive] = document["_aws"].pop("CloudWatchMetrics")
    assert document["_aws"] == {}
    assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
    assert 1 <= len(directive["Metrics"]) <= 100
    for metric in directive["Metrics"]:
        assert metric.keys() == {"Name", "Unit"}
        values = document[metric["Name"]]
        values = values if isinstance(values, list) else [values]
        assert 1 <= len(values) <= 100
        assert all(isinstance(value, int | float) for value in values)
    for dimensions in directive["Dimensions"]:
        assert all(isinstance(document[name], str) for name in dimensions)
    document["sets"] = directive["Dimensions"]
    document["units"] = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}


def log(event: str, **facts: Any) -> None:
    logger.info(event, extra=facts)


def test_an_invocation_tells_one_line_for_its_kind_with_sums_and_values(
    metrics: Metrics, heard: Heard
) -> None:
    with bound(request_id="r"), metrics.invocation():
        for number in range(3):
            log("task_started", task_id=number, kind="mail", queue_wait_ms=number + 0.5)
            log("task_completed", task_id=number, kind="mail", duration_ms=10.0 * number)
        log("task_failed", task_id=4, kind="mail", duration_ms=2.5)
    [document] = told(heard)
    assert document["sets"] == [["Stage"], ["Stage", "Kind"]]
    assert (document["Stage"], document["Kind"]) == ("prod", "mail")
    assert (document["Completed"], document["Failed"]) == (3, 1)
    assert document["QueueWait"] == [0.5, 1.5, 2.5]
    assert document["RunTime"] == [0.0, 10.0, 20.0, 2.5]
    assert document["units"] == {
        "Completed": "Count",
        "Failed": "Count",
        "QueueWait": "Milliseconds",
        "RunTime": "Milliseconds",
    }


def test_each_kind_has_a_line_and_what_is_of_no_kind_has_one(
    metrics: Metrics, heard: Heard
) -> None:
    with metrics.invocation():
        log("task_created", kind="mail")
        log("task_created", kind="report")
        log("task_fenced", kind="report")
        log("sweep_finished", outbox_lag_s=7.5)
    mail, report, rest = told(heard)
    assert (mail["Kind"], mail["Created"]) == ("mail", 1)
    assert (report["Kind"], report["Created"]) == ("report", 1)
    assert (rest["sets"], rest["Stage"]) == ([["Stage"]], "prod")
    assert (rest["Fenced"], rest["OutboxLag"]) == (1, [7.5])
    assert "Kind" not in rest


def test_a_kind_that_no_handler_declares_counts_as_unknown(metrics: Metrics, heard: Heard) -> None:
    with metrics.invocation():
        log("task_failed", kind="canary")
        log("task_failed")
    [document] = told(heard)
    assert (document["Kind"], document["Failed"]) == ("unknown", 2)
    assert "canary" not in json.dumps(document)


def test_more_than_a_hundred_values_take_more_lines_and_are_counted_once(
    metrics: Metrics, heard: Heard
) -> None:
    with metrics.invocation():
        for number in range(250):
            log("task_completed", kind="mail", duration_ms=number)
        for number in range(120):
            log("task_started", kind="mail", queue_wait_ms=number)
    documents = told(heard)
    assert [len(one["RunTime"]) for one in documents] == [100, 100, 50]
    assert [len(one.get("QueueWait", ())) for one in documents] == [100, 20, 0]
    assert [one.get("Completed") for one in documents] == [250, None, None]
    assert [value for one in documents for value in one["RunTime"]] == list(range(250))


def test_an_invocation_that_has_nothing_to_tell_is_silent(metrics: Metrics, heard: Heard) -> None:
    with metrics.invocation():
        log("key_created", key_id="x")
        log("task_released", kind="mail")  # whose handler was not begun
    assert told(heard) == []


def test_what_a_handler_calls_its_own_events_is_not_counted(metrics: Metrics, heard: Heard) -> None:
    own = logging.getLogger("chalicelib.handlers.mail")
    with metrics.invocation():
        own.info("task_completed", extra={"kind": ["mail"], "duration_ms": "long"})
    assert told(heard) == []


def test_an_invocation_that_raises_tells_what_it_did(metrics: Metrics, heard: Heard) -> None:
    def work() -> None:
        log("task_completed", kind="mail", duration_ms=1)
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"), metrics.invocation():
        work()
    assert [one["Completed"] for one in told(heard)] == [1]


def test_invocations_at_the_same_time_do_not_mix(metrics: Metrics, heard: Heard) -> None:
    together = threading.Barrier(2)

    def run(kind: str) -> None:
        with metrics.invocation():
            together.wait(10)
            log("task_created", kind=kind)
            together.wait(10)

    threads = [threading.Thread(target=run, args=[kind]) for kind in ("mail", "report")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log("task_created", kind="mail")  # outside of any
    assert sorted((one["Kind"], one["Created"]) for one in told(heard)) == [
        ("mail", 1),
        ("report", 1),
    ]


def test_a_metric_is_told_by_an_event_that_is_logged_with_its_field() -> None:
    fields: dict[str, set[str]] = {}
    for line in logged.lines():
        fields.setdefault(line.event, set()).update(line.fields)
    used: set[str] = set()
    for event, told_by in TOLD_BY.items():
        used |= told_by.keys()
        assert {what for what in told_by.values() if isinstance(what, str)} <= fields[event]
    assert used == BY_KIND.keys() | BY_STAGE.keys()


def test_a_unit_is_one_that_cloudwatch_knows() -> None:
    assert {*BY_KIND.values(), *BY_STAGE.values()} <= {"Count", "Milliseconds", "Seconds"}


def test_metrics_are_off_unless_they_are_asked_for() -> None:
    assert Settings().metrics == "off"
