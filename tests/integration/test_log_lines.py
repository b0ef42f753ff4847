"""What happens is told by one line, with what leads from it to the task and to the invocation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.errors import StoreUnavailable
from tests.fakes import FakeContext
from tests.integration.routes import ROUTES
from tests.lambda_process import proxy_event
from tests.tree import ROOT
from tests.world import bad, raising, returning

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes import Heard
    from tests.integration.api import Api
    from tests.world import World

TRACE = "1-5759e988-bd862e3fe1be46a994272793"
OF_SENDER = "1-67891234-12456789abcdef012345678f"
HEADER = f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1"


def only(lines: list[dict[str, Any]]) -> dict[str, Any]:
    [line] = lines
    return line


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without what differs from run to run; durations are known to be there."""
    for name in ("time", "duration_ms", "queue_wait_ms"):
        assert line.pop(name, 0.0) is not None
    return line


def test_a_tasks_attempt_is_told_with_what_leads_to_its_message_and_its_trace(
    world: World, heard: Heard
) -> None:
    number = world.task(run_at=world.table.at(-5))
    [record] = world.queue.receive()
    record["attributes"]["AWSTraceHeader"] = f"Root={OF_SENDER};Sampled=1"
    world.work([record])
    attempt = {
        "task_id": number,
        "kind": "default",
        "attempt": 1,
        "message_id": record["messageId"],
        "trace_id": OF_SENDER,
    }
    started, completed = (only(heard.told(f"task_{how}")) for how in ("started", "completed"))
    assert 5000 <= started["queue_wait_ms"] < 60_000
    assert completed["duration_ms"] >= 0
    for line, event in ((started, "task_started"), (completed, "task_completed")):
        assert without_times(line) == {"level": "INFO", "event": event, **attempt}


def test_what_a_handler_logs_itself_tells_whose_it_is(world: World, heard: Heard) -> None:
    import logging

    logger = logging.getLogger("chalicelib.handlers.mine")

    def action(task: Any, context: Any) -> None:  # noqa: ARG001
        logger.warning("mine", extra={"rows": 7})

    number = bad(world, action)
    world.deliver()
    line = only(heard.told("mine"))
    assert (line["task_id"], line["kind"], line["attempt"], line["rows"]) == (number, "bad", 1, 7)
    assert line["message_id"]


def test_a_failed_attempt_is_told_by_code_and_class(world: World, heard: Heard) -> None:
    bad(world, raising(ValueError("canary")))
    world.deliver()
    line = only(heard.told("task_retrying"))
    assert (line["code"], line["exception"]) == ("exception", "ValueError")
    assert line["wait_ms"] == pytest.approx(30_000, abs=1000)
    assert line["duration_ms"] >= 0


def test_what_was_not_begun_has_no_duration(world: World, heard: Heard) -> None:
    numbers = [world.task(), world.task()]
    world.deliver(remaining=5)
    assert "duration_ms" in only(heard.told("task_completed"))
    line = only(heard.told("task_released"))
    assert line["task_id"] == numbers[1]
    assert "duration_ms" not in line


@pytest.mark.parametrize(
    ("attempt", "status", "events"),
    [
        (1, "retrying", ["task_rescued"]),
        (3, "failed", ["task_rescued", "task_failed"]),
    ],
)
def test_an_attempt_that_was_lost_is_told_by_the_sweeper_with_the_invocation_that_lost_it(
    world: World, heard: Heard, attempt: int, status: str, events: list[str]
) -> None:
    past = world.table.at(-1)
    number = world.table.arrange(
        "processing", attempt=attempt, lease_until=past, request_id="lost-1"
    )
    world.store.rescue_tasks(limit=10)
    assert heard.events() == events
    line = only(heard.told("task_rescued"))
    assert (line["task_id"], line["attempt"], line["status"]) == (number, attempt, status)
    assert (line["kind"], line["lost_request_id"]) == ("default", "lost-1")
    assert [one["code"] for one in heard.told("task_failed")] == ["crashed"] * (len(events) - 1)


def test_a_crash_in_company_that_is_given_back_is_told_as_the_attempt_that_it_was(
    world: World, heard: Heard
) -> None:
    world.table.arrange("processing", lease_until=world.table.at(-1), lease_shared=True)
    world.store.rescue_tasks(limit=10)
    line = only(heard.told("task_rescued"))
    assert (line["attempt"], line["status"]) == (1, "retrying")


def test_an_attempt_that_was_lost_is_told_by_the_worker_that_takes_its_task(
    world: World, heard: Heard
) -> None:
    number = world.table.arrange("processing", lease_until=world.table.at(-1), request_id="lost-1")
    world.queue.put(f'{{"task_id": {number}}}')
    world.deliver()
    line = only(heard.told("task_rescued"))
    assert (line["task_id"], line["attempt"], line["lost_request_id"]) == (number, 1, "lost-1")
    assert only(heard.told("task_started"))["attempt"] == 2


@pytest.mark.parametrize(
    ("columns", "events", "code"),
    [
        ({"expires_at": -1}, ["task_failed"], "expired"),
        ({"attempt": 3, "attempt_limit": 3}, ["task_failed"], "attempts_exhausted"),
        ({"cancel_requested_at": -1}, ["task_cancelled"], None),
    ],
)
def test_a_task_that_ends_with_its_claim_is_told(
    world: World, heard: Heard, columns: dict[str, int], events: list[str], code: str | None
) -> None:
    values: dict[str, Any] = dict(columns)
    values |= {name: world.table.at(v) for name, v in columns.items() if name.endswith("_at")}
    number = world.task(**values)
    world.deliver()
    assert heard.events() == events
    line = only(heard.told(events[0]))
    assert (line["task_id"], line["kind"], line.get("code")) == (number, "default", code)
    world.queue.put(f'{{"task_id": {number}}}')
    world.deliver()
    assert heard.events() == events  # it was told once


def test_a_task_that_expires_unseen_is_told_by_the_sweeper(world: World, heard: Heard) -> None:
    number = world.table.arrange("pending", expires_at=world.table.at(-1))
    world.sweep()
    line = only(heard.told("task_failed"))
    assert (line["task_id"], line["attempt"], line["code"]) == (number, 0, "expired")


def test_a_task_that_fails_since_it_cannot_be_sent_is_told(
    api_of: Callable[..., Api], heard: Heard
) -> None:
    api = api_of(enqueue_failure="fail")
    api.queue.away = True
    assert api.post({"title": "x"}).status_code == 500
    line = only(heard.told("task_failed"))
    assert (line["kind"], line["code"]) == ("default", "enqueue_failed")


def overdue(world: World, seconds: float, **columns: Any) -> int:
    """Add a task that was due, and to be looked at, so long ago."""
    past = world.table.at(-seconds)
    return world.table.arrange("pending", **({"run_at": past, "dispatch_after": past} | columns))


def test_the_outbox_has_no_lag_while_nothing_is_overdue(world: World) -> None:
    assert world.store.read_outbox_lag() == 0
    later = world.table.at(60)
    world.table.arrange("pending", dispatch_after=later)
    world.table.arrange("pending", run_at=later, dispatch_after="-infinity")
    world.table.arrange("completed", dispatch_after=world.table.at(-60))
    assert world.store.read_outbox_lag() == 0


def test_the_outboxs_lag_is_that_of_the_task_that_is_longest_overdue(world: World) -> None:
    overdue(world, 100)
    assert world.store.read_outbox_lag() == pytest.approx(100, abs=10)
    overdue(world, 20, created_at=world.table.at(-300))
    assert world.store.read_outbox_lag() == pytest.approx(100, abs=10)
    overdue(world, 500, created_at=world.table.at(-300), dispatch_after="-infinity")
    assert world.store.read_outbox_lag() == pytest.approx(300, abs=10)


def test_the_sweeper_tells_the_lag_that_it_leaves(world: World, heard: Heard) -> None:
    overdue(world, 100)
    world.sweep()
    assert only(heard.told("sweep_finished"))["outbox_lag_s"] == 0
    world.queue.away = True
    overdue(world, 100, created_at=world.table.at(-100), dispatch_after="-infinity")
    world.sweep()
    line = heard.told("sweep_finished")[-1]
    assert line["outbox_lag_s"] == pytest.approx(100, abs=10)
    assert line["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("method", "path", "status", "level"),
    [
        ("GET", "/healthz", 200, "INFO"),
        ("GET", "/docs", 200, "INFO"),
        ("GET", "/tasks/12345", 404, "WARNING"),
        ("PATCH", "/tasks/canary", 422, "WARNING"),
        ("PUT", "/tasks", 405, "WARNING"),
    ],
)
def test_a_request_is_told_by_one_line_with_its_route(
    api: Api, heard: Heard, method: str, path: str, status: int, level: str
) -> None:
    response = api.call(method, path, {}, Content_Type="application/json")
    line = only(heard.told("request_answered"))
    assert (line["method"], line["status"], line["level"]) == (method, status, level)
    assert line["route"] == re.sub(r"^/tasks/.+", "/tasks/{task_id}", path)
    assert line["duration_ms"] >= 0
    if status >= 400:
        assert json.loads(response.body)["request_id"] == line["request_id"]


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_tells_of_each_request(api: Api, heard: Heard, name: str) -> None:
    response = ROUTES[name].send(api, api.table.arrange("failed"))
    line = only(heard.told("request_answered"))
    assert (f"{line['method']} {line['route']}", line["status"]) == (name, response.status_code)


def test_why_a_request_failed_is_told_under_the_same_id(
    api_of: Callable[..., Api], heard: Heard
) -> None:
    api = api_of("postgresql://postgres@127.0.0.1:1/x")
    assert api.get("/tasks/1").status_code == 503
    why, answered = only(heard.told("request_failed")), only(heard.told("request_answered"))
    assert why["exception"] == "StoreUnavailable"
    assert why["cause"] == "OperationalError"
    assert (answered["level"], answered["request_id"]) == ("ERROR", why["request_id"])


def test_a_worker_that_cannot_reach_the_database_says_why(world: World, heard: Heard) -> None:
    world.task()
    world.query.before["claim_tasks"] = [StoreUnavailable(), StoreUnavailable()]
    world.deliver(remaining=1)
    assert only(heard.told("batch_kept"))["exception"] == "StoreUnavailable"


def test_every_line_of_an_invocation_has_its_function_its_id_and_its_trace(
    api: Api, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER)
    api.post({"title": "x"})
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    lines = [json.loads(line) for line in heard.lines]
    assert {line["trace_id"] for line in lines} == {TRACE}
    of_worker = [line for line in lines if line["function"] == "worker"]
    assert [line["event"] for line in of_worker] == ["task_started", "task_completed"]
    assert {line["request_id"] for line in of_worker} == {"request-1"}
    created, answered = only(heard.told("task_created")), only(heard.told("request_answered"))
    assert created["request_id"] == answered["request_id"] != "request-1"


@pytest.mark.usefixtures("api")
def test_a_request_is_found_by_the_id_on_lambdas_own_lines_and_by_the_one_a_problem_shows(
    heard: Heard,
) -> None:
    request = proxy_event("GET", "/tasks/{task_id}", "", {}, {"task_id": "12345"})
    request["requestContext"]["requestId"] = "gateway-1"
    response = front_door.app(request, FakeContext())
    assert json.loads(response["body"])["request_id"] == "gateway-1"
    assert only(heard.told("cold_start"))["request_id"] == "request-1"
    line = only(heard.told("request_answered"))
    assert (line["request_id"], line["lambda_request_id"]) == ("gateway-1", "request-1")


def test_a_cold_start_is_told_once_by_each_process(api: Api, heard: Heard) -> None:
    api.get("/healthz")
    api.get("/healthz")
    front_door.work({"Records": []}, FakeContext())
    assert len(heard.told("cold_start")) == 1


def test_the_metrics_of_an_invocation_are_told_at_its_end(
    api_of: Callable[..., Api], heard: Heard
) -> None:
    import logging

    api = api_of(metrics="emf", metrics_stage="prod")
    assert api.runtime.metrics
    logging.getLogger("chalicelib").addHandler(api.runtime.metrics)
    try:
        for _ in range(3):
            api.post({"title": "x"})
        front_door.work({"Records": api.queue.receive()}, FakeContext())
        front_door.sweep(_tick({}), FakeContext())
    finally:
        logging.getLogger("chalicelib").removeHandler(api.runtime.metrics)
    lines = heard.told("metrics")
    assert [line["function"] for line in lines[-2:]] == ["worker", "worker"]  # the context's name
    assert [line["Created"] for line in lines if "Created" in line] == [1, 1, 1]
    assert [line["ColdStart"] for line in lines if "ColdStart" in line] == [1]
    worked, swept = lines[-2:]
    assert (worked["Stage"], worked["Kind"], worked["Completed"]) == ("prod", "default", 3)
    assert len(worked["QueueWait"]) == len(worked["RunTime"]) == 3
    assert swept["OutboxLag"] == [0]


def _tick(detail: dict[str, Any]) -> dict[str, Any]:
    names = ("version", "account", "region", "detail-type", "source", "time", "id")
    return dict.fromkeys(names, "") | {"detail": detail, "resources": []}


def test_the_event_that_the_docs_give_sends_every_waiting_task_again(api: Api) -> None:
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"'(\{.*queue_lost.*\})'", document)
    assert found
    api.post({"title": "x"})
    api.queue.stored.clear()
    done = front_door.sweep(json.loads(found[1]), FakeContext())
    assert (done["sent"], len(api.queue.stored)) == (1, 1)


def test_a_result_is_told_as_it_was_stored(world: World, heard: Heard) -> None:
    bad(world, returning(float("nan")))
    world.deliver()
    line = only(heard.told("task_failed"))
    assert (line["level"], line["code"], line["exception"]) == (
        "WARNING",
        "permanent",
        "NotStorable",
    )
