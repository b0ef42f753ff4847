"""Statistics: what is counted and timed, for whom, and what is said when there is too much."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.service import stats as rules
from tests.fakes import Recorder
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from tests.fakes import Heard

STATUSES = ("pending", "processing", "retrying", "completed", "failed", "cancelled")


def read(api: Api, query: str = "", **headers: str) -> dict[str, Any]:
    response = api.get(f"/stats{query}", **headers)
    assert response.status_code == 200, response.body
    return dict(json.loads(response.body))


def finished(api: Api, ago: float, wait: float, run: float, **columns: Any) -> int:
    """Add a completed task: due, begun and ended so long ago, in seconds."""
    end = api.table.at(-ago)
    begin = end - timedelta(seconds=run)
    due = begin - timedelta(seconds=wait)
    times = {"created_at": due, "run_at": due, "started_at": begin, "finished_at": end}
    return api.table.arrange("completed", **(times | columns))


def whole(told: dict[str, Any], name: str) -> int:
    return sum(minute[name] for minute in told["throughput"])


def test_without_tasks_all_is_zero_and_nothing_is_timed(api: Api) -> None:
    told = read(api)
    assert told["counts"] == dict.fromkeys(STATUSES, 0)
    assert (told["oldest_wait"], told["timed"]) == (None, 0)
    assert (told["wait"], told["run"]) == (None, None)
    assert told["queue"] == {"tasks": 0, "dead_letters": 0}
    assert len(told["throughput"]) == 60
    assert {whole(told, name) for name in ("created", "completed", "failed")} == {0}


def test_tasks_are_counted_by_their_status(api: Api) -> None:
    for number, status in enumerate(STATUSES):
        for _ in range(number):
            api.table.arrange(status)
    assert read(api)["counts"] == {status: number for number, status in enumerate(STATUSES)}


def test_a_count_ends_at_its_limit_and_the_limit_is_told(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "COUNT_LIMIT", 3)
    for _ in range(5):
        api.table.arrange("pending", created_at=api.table.at(-3600))
    told = read(api)
    assert told["count_limit"] == told["counts"]["pending"] == 3


def test_the_oldest_wait_is_of_the_task_that_has_been_due_longest(api: Api) -> None:
    at = api.table.at
    api.table.arrange("pending", run_at=at(-50))
    api.table.arrange("retrying", run_at=at(-200), created_at=at(-10))
    api.table.arrange("pending", run_at=at(600), created_at=at(-1000))  # not due yet
    api.table.arrange("processing", run_at=at(-900))
    api.table.arrange("completed", run_at=at(-900))
    assert 200 <= read(api)["oldest_wait"] < 260


def test_waits_and_runs_are_timed_from_due_to_begun_and_from_there_to_the_end(api: Api) -> None:
    for number in range(101):
        finished(api, ago=60, wait=number, run=number / 10)
    told = read(api)
    assert told["timed"] == 101
    assert told["wait"] == pytest.approx({"p50": 50, "p95": 95, "p99": 99})
    assert told["run"] == pytest.approx({"p50": 5, "p95": 9.5, "p99": 9.9})


def test_what_no_attempt_has_ended_is_not_timed(api: Api) -> None:
    at = api.table.at
    api.table.arrange("cancelled")
    api.table.arrange("failed", attempt=0, error={"code": "expired"})
    api.table.arrange("cancelled", attempt=1, started_at=at(-60), run_at=at(30))
    assert read(api)["timed"] == 0


def test_times_are_those_of_the_newest_when_there_are_too_many(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SAMPLE", 2)
    for ago in (5, 6, 7, 8):
        finished(api, ago=ago, wait=0, run=ago)
    told = read(api)
    assert (told["timed"], told["run"]["p99"]) == (2, pytest.approx(5.99))


def test_what_was_created_and_finished_is_told_for_each_minute(api: Api) -> None:
    [row] = api.table.run("select date_trunc('minute', now()) as minute")
    minute: datetime = row["minute"]
    for back in (1, 1, 120):  # the last is before the window
        at = minute - timedelta(minutes=back)
        api.table.arrange("completed", created_at=at, finished_at=at)
    at = minute - timedelta(minutes=2)
    api.table.arrange("failed", created_at=at, finished_at=at + timedelta(seconds=59))
    api.table.arrange("cancelled", created_at=at, finished_at=at)
    told = read(api)["throughput"]
    busy = [one for one in told if one["created"] or one["completed"] or one["failed"]]
    assert busy == [
        {"minute": _zulu(at), "created": 2, "completed": 0, "failed": 1},
        {"minute": _zulu(at + timedelta(minutes=1)), "created": 2, "completed": 2, "failed": 0},
    ]


def _zulu(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("minutes", [1, 5, 1440])
def test_as_many_minutes_are_told_as_are_asked_for(api: Api, minutes: int) -> None:
    told = read(api, f"?minutes={minutes}")["throughput"]
    moments = [datetime.fromisoformat(one["minute"]) for one in told]
    assert len(moments) == minutes
    assert {b - a for a, b in pairwise(moments)} <= {timedelta(minutes=1)}


@pytest.mark.parametrize(
    "query", ["minutes=0", "minutes=1441", "minutes=x", "minutes=5&minutes=6", "hours=1"]
)
def test_any_other_window_is_refused(api: Api, query: str) -> None:
    content = problem(api.get(f"/stats?{query}"), 422)
    assert [list(error) for error in content["errors"]] == [["parameter", "detail"]]


@pytest.mark.parametrize("column", ["created_at", "finished_at"])
def test_minutes_with_too_much_to_count_are_left_out(
    api: Api, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(rules, "COUNT_LIMIT", 3)
    long_ago = {"created_at": api.table.at(-7200), "finished_at": api.table.at(-7100)}
    [row] = api.table.run("select date_trunc('minute', now()) as minute")
    for back in (5, 5, 4, 3, 3):
        at = row["minute"] - timedelta(minutes=back)
        api.table.arrange("completed", **(long_ago | {column: at}))
    told = read(api)["throughput"]
    assert told[0]["minute"] == _zulu(row["minute"] - timedelta(minutes=4))
    name = "created" if column == "created_at" else "completed"
    assert [one[name] for one in told[:3]] == [1, 2, 0]


def test_statistics_are_of_ones_own_tasks_alone(keyed: Api) -> None:
    finished(keyed, ago=3, wait=4, run=5, tenant="other")
    keyed.table.arrange("pending", run_at=keyed.table.at(-60), tenant="other")
    told = read(keyed, **bearer(keyed.key("acme")))
    assert told["counts"] == dict.fromkeys(STATUSES, 0)
    assert (told["timed"], told["oldest_wait"]) == (0, None)
    assert {whole(told, name) for name in ("created", "completed", "failed")} == {0}


def test_only_an_operator_is_told_of_the_queues(keyed: Api) -> None:
    keyed.queue.put("{}")
    keyed.queue.letters.put("{}")
    assert read(keyed, **bearer(keyed.key("acme", "tasks:read", "tasks:write")))["queue"] is None
    told = read(keyed, **bearer(keyed.key("acme", "admin")))
    assert told["queue"] == {"tasks": 1, "dead_letters": 1}


def test_a_queue_that_is_away_is_told_by_null(api: Api, heard: Heard) -> None:
    api.queue.away = True
    assert read(api)["queue"] == {"tasks": None, "dead_letters": None}
    assert "queue_depth_unknown" in heard.events()


def test_statistics_cost_one_statement(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    query = Recorder(api.runtime.database.query)
    monkeypatch.setattr(api.runtime, "_query", query)
    read(api)
    assert query.names == ["read_stats"]
