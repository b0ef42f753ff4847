"""What localdev.testing tells of handlers is what the worker makes of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from chalicelib.errors import (
    GiveUp,
    InvalidRequest,
    NotStorable,
    RetryLater,
    Snooze,
    Stopped,
    TimedOut,
)
from chalicelib.handlers.default import process_task
from chalicelib.outcome import Completed, Released, Retry
from chalicelib.registry import Backoff, Registry
from chalicelib.settings import Settings
from localdev.testing import NotGiven, drain, frozen, run
from tests.world import raising, returning

if TYPE_CHECKING:
    from chalicelib.registry import Context, Handler
    from chalicelib.task import Task

START = "2026-11-30T08:00Z"


class Name(BaseModel):
    name: str


def only(action: Handler, **options: Any) -> Registry:
    """Return a registry of one kind, ``a``."""
    registry = Registry()
    registry.handler("a", **options)(action)
    return registry


def test_a_handler_that_returns_has_its_result_as_it_is_stored() -> None:
    ran = run("a", registry=only(returning({"b": (1, 2)})))
    assert (ran.status, ran.result, ran.outcome) == (
        "completed",
        {"b": [1, 2]},
        Completed('{"b":[1,2]}'),
    )
    assert (ran.error, ran.wait, ran.raised) == (None, None, None)


def test_a_handler_is_known_by_its_function_or_its_kind() -> None:
    assert run(process_task).task.kind == run("default").task.kind == "default"
    with pytest.raises(LookupError, match="@handler"):
        run(returning(1))


def test_a_payload_is_checked_and_read_as_the_service_does() -> None:
    registry = only(lambda _task, context: context.payload.name, payload=Name)
    assert run("a", {"name": "Ada"}, registry=registry).result == "Ada"
    with pytest.raises(InvalidRequest, match="/payload/name"):
        run("a", {}, registry=registry)
    with pytest.raises(InvalidRequest, match="/kind"):
        run("b", registry=registry)
    with pytest.raises(InvalidRequest, match="/title"):
        run("a", {"name": "Ada"}, registry=registry, task={"title": ""})


@pytest.mark.parametrize(
    ("error", "status", "wait", "code"),
    [
        (KeyError("a"), "retrying", 30, "exception"),
        (RetryLater(seconds=7), "retrying", 7, "exception"),
        (Snooze(60), "retrying", 60, None),
        (GiveUp("never"), "failed", None, "permanent"),
        (Stopped(), "cancelled", None, "cancelled"),
        (TimedOut(), "retrying", 30, "timeout"),
    ],
)
def test_what_a_handler_raises_is_judged_and_raised_to_whoever_asks_for_a_result(
    error: BaseException, status: str, wait: float | None, code: str | None
) -> None:
    ran = run("a", registry=only(raising(error)), settings=Settings(retry_delay=30))
    assert (ran.status, ran.wait, ran.error and ran.error["code"]) == (status, wait, code)
    with pytest.raises(type(error)) as told:
        _ = ran.result
    assert told.value is ran.raised is error


def test_the_last_attempt_has_none_after_it() -> None:
    registry = only(raising(KeyError()), attempts=2)
    assert [run("a", registry=registry, attempt=n).status for n in (1, 2)] == ["retrying", "failed"]


def test_a_result_that_cannot_be_stored_fails_the_task_and_says_so() -> None:
    ran = run("a", registry=only(returning(float("nan"))))
    assert ran.status == "failed"
    with pytest.raises(NotStorable, match="result"):
        _ = ran.result


def test_whoever_ends_the_tests_is_not_taken_for_a_failure_of_the_handler() -> None:
    with pytest.raises(KeyboardInterrupt):
        run("a", registry=only(raising(KeyboardInterrupt())))


def test_a_handler_sees_what_the_test_gives() -> None:
    seen: list[Any] = []
    fake = object()

    def see(task: Task, context: Context) -> None:
        seen.extend([task.title, context.attempt, context.tenant, context.settings.files])
        seen.append(context.client("s3") is fake)
        seen.append(0 < context.remaining() <= 5)

    given: Any = {"attempt": 2, "tenant": "acme", "settings": Settings(files="/f"), "seconds": 5}
    run("a", registry=only(see), clients={"s3": fake}, task={"title": "b"}, **given)
    assert seen == ["b", 2, "acme", "/f", True, True]


@pytest.mark.parametrize("seconds", [0.5, 5, 500])
def test_an_attempt_has_as_long_as_is_given_if_its_kind_allows(seconds: float) -> None:
    left = run("a", registry=only(lambda _t, c: c.remaining()), seconds=seconds).result
    assert seconds - 0.4 < left <= seconds
    limited = only(lambda _t, c: c.remaining(), timeout=0.2)
    assert run("a", registry=limited, seconds=seconds).result <= 0.2


def test_a_handler_that_takes_too_long_is_interrupted() -> None:
    ran = run("a", registry=only(lambda _t, _c: time.sleep(60)), seconds=0.01)
    assert (ran.status, ran.error and ran.error["code"]) == ("retrying", "timeout")


def test_what_a_handler_told_and_made_is_there_even_if_it_failed() -> None:
    def act(_task: Task, context: Context) -> None:
        context.heartbeat()
        context.progress(50, "half")
        assert context.step("one", lambda: 7) == 1
        context.step("two", lambda: (2,))
        context.log.info("did_it", extra={"what": "x"})
        context.enqueue("after")
        raise GiveUp

    registry = only(act)
    registry.handler("default")(returning(None))
    ran = run("a", registry=registry, steps={"one": 1})
    assert (ran.heartbeats, ran.progress) == (1, [{"percent": 50, "note": "half"}])
    assert ran.steps == {"one": 1, "two": [2]}
    [line] = ran.log
    assert (line["event"], line["what"], line["task_id"]) == ("did_it", "x", 1)
    assert (ran.status, ran.enqueued) == ("failed", [])


def test_a_task_that_is_cancelled_stops_at_the_next_heartbeat() -> None:
    ran = run("a", registry=only(lambda _t, c: c.heartbeat()), stopped=True)
    assert (ran.status, ran.heartbeats) == ("cancelled", 0)


def test_what_is_enqueued_is_checked_as_the_service_does() -> None:
    registry = only(lambda _t, c: c.enqueue("b", kind="b", payload={"name": "Ada"}))
    registry.handler("b", payload=Name, attempts=7)(returning(None))
    [after] = run("a", registry=registry).enqueued
    assert (after["kind"], after["payload"], after["attempt_limit"]) == ("b", {"name": "Ada"}, 7)
    wrong = only(lambda _t, c: c.enqueue("b", kind="nobody"))
    assert isinstance(run("a", registry=wrong).raised, InvalidRequest)


def test_statements_of_a_transaction_go_to_what_is_given() -> None:
    def act(_task: Task, context: Context) -> Any:
        return context.transaction().execute("select %(a)s", a=1)

    ran = run("a", registry=only(act), sql=lambda _sql, **values: [values])
    assert (ran.result, ran.statements) == ([{"a": 1}], [("select %(a)s", {"a": 1})])


@pytest.mark.parametrize(
    ("action", "missing"),
    [
        (lambda _t, c: c.transaction(), "database="),
        (lambda _t, c: c.query("get_task"), "query="),
        (lambda _t, c: c.client("s3"), "clients={'s3'"),
    ],
)
def test_what_the_test_does_not_give_is_named_with_how_to_give_it(
    action: Handler, missing: str
) -> None:
    with pytest.raises(NotGiven, match=missing):
        _ = run("a", registry=only(action)).result


def test_a_frozen_clock_stands_until_it_is_moved_on() -> None:
    clock = only(lambda _t, _c: datetime.now(UTC).isoformat())
    with frozen(START) as move_on:
        assert run("a", registry=clock).result == "2026-11-30T08:00:00+00:00"
        move_on(90)
        assert run("a", registry=clock).result == "2026-11-30T08:01:30+00:00"
    with pytest.raises(ValueError, match="offset"), frozen("2026-11-30T08:00"):
        pass


def test_all_attempts_are_made_and_their_waits_are_skipped() -> None:
    registry = only(raising(KeyError()), backoff=Backoff(base=60, longest=60, roll=lambda: 0.5))
    with frozen(START):
        ran = drain("a", registry=registry)
        assert datetime.now(UTC) == ran[0].at
    assert [(one.at.minute, one.task.attempt, one.status) for one in ran] == [
        (0, 1, "retrying"),
        (1, 2, "retrying"),
        (2, 3, "failed"),
    ]


def test_an_attempt_that_is_put_off_does_not_count_and_finds_the_steps_made() -> None:
    numbers: list[int] = []

    def act(_task: Task, context: Context) -> int:
        numbers.append(context.attempt)
        made: int = context.step("once", lambda: len(numbers))
        if len(numbers) < 6:
            raise Snooze(3600)
        return made

    ran = drain("a", registry=only(act))
    assert numbers == [1] * 6
    assert (ran[-1].result, (ran[-1].at - ran[0].at).total_seconds()) == (1, 5 * 3600)
    assert isinstance(ran[0].outcome, Released)


def test_follow_ups_run_when_they_are_due_each_with_attempts_of_its_own() -> None:
    def first(_task: Task, context: Context) -> None:
        context.enqueue("late", kind="b", delay_seconds=600)
        context.enqueue("fixed", kind="b", run_at="2026-11-30T08:05:00Z")
        context.enqueue("now", kind="b")

    def second(task: Task, context: Context) -> str:
        if task.title == "now" and context.attempt == 1:
            raise RetryLater(seconds=7 * 60)
        return task.title

    registry = only(first)
    registry.handler("b")(second)
    with frozen(START):
        ran = drain("a", registry=registry)
    assert [(one.task.title, one.at.minute) for one in ran[1:]] == [
        ("now", 0),
        ("fixed", 5),
        ("now", 7),
        ("late", 10),
    ]
    assert isinstance(ran[1].outcome, Retry)
    assert [one.task.id for one in ran] == [1, 4, 3, 4, 2]


def test_tasks_without_an_end_are_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"After 5 attempts .*'a'"):
        drain("a", registry=only(lambda _t, c: c.enqueue("again", kind="a")), most=5)
