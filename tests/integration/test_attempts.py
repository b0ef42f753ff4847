"""Every attempt that counted is shown: when, how long, how it ended, and where it ran."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import GiveUp, RetryLater, Snooze
from chalicelib.service.attempts import attempts_of
from tests.integration.api import problem
from tests.world import raising

if TYPE_CHECKING:
    from tests.integration.api import Api
    from tests.world import World

KEYS = [
    "attempt",
    "started_at",
    "ended_at",
    "duration",
    "outcome",
    "error",
    "request_id",
    "message_id",
    "receive_count",
    "trace_id",
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def attempts(world: World, number: int) -> list[dict[str, Any]]:
    """Return a task's attempts as a client sees them."""
    found = attempts_of(world.clients.get_attempts(number))
    return [one.model_dump(mode="json") for one in found]


def again(world: World, number: int) -> None:
    """Let the time of the next attempt come."""
    world.table.update(number, run_at=world.table.at(-1))
    world.queue.now += 7200
    world.sweep()  # a task that was put off has no message
    world.deliver()


def handled(world: World, *ends: Any) -> int:
    """Add a task whose attempts end so, one after another: an error, or a result."""
    left = list(ends)

    def action(_task: Any, _context: Any) -> Any:
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    world.registry.handler("some")(action)
    number = world.task(kind="some")
    world.deliver()
    return number


def test_a_task_that_nobody_began_has_no_attempts(world: World) -> None:
    assert attempts(world, world.table.arrange("pending")) == []


def test_a_success_is_shown_from_the_row(world: World) -> None:
    [one] = attempts(world, handled(world, "done"))
    assert list(one) == KEYS
    assert TIME.fullmatch(one["started_at"])
    assert TIME.fullmatch(one["ended_at"])
    assert 0 <= one["duration"] < 30
    assert (one["attempt"], one["outcome"], one["error"]) == (1, "completed", None)
    assert (one["request_id"], one["message_id"], one["receive_count"]) == ("request-1", "m1", 1)


def test_failures_and_the_success_after_them_are_shown_in_order(world: World) -> None:
    number = handled(world, ValueError("no"), RetryLater("later"), "done")
    again(world, number)
    again(world, number)
    shown = attempts(world, number)
    assert [one["attempt"] for one in shown] == [1, 2, 3]
    assert [one["outcome"] for one in shown] == ["retrying", "retrying", "completed"]
    assert [one["receive_count"] for one in shown] == [1, 2, 3]
    errors = [(one["error"] or {}).get("message") for one in shown]
    assert errors == ["no", "later", None]
    assert all(one["duration"] >= 0 and one["ended_at"] for one in shown)
    moments = [moment for one in shown for moment in (one["started_at"], one["ended_at"])]
    assert moments == sorted(moments)


@pytest.mark.parametrize(("error", "code"), [(GiveUp("no"), "permanent"), (OSError(), "exception")])
def test_a_failed_task_shows_how_its_last_attempt_ended(
    world: World, error: Exception, code: str
) -> None:
    number = handled(world, error)
    world.table.update(number, attempt_limit=1)
    if code == "exception":
        number = _last_attempt(world, error)
    [one] = attempts(world, number)
    assert (one["outcome"], one["error"]["code"]) == ("failed", code)


def _last_attempt(world: World, error: Exception) -> int:
    world.registry.handler("last")(raising(error))
    number = world.task(kind="last", attempt_limit=1)
    world.deliver()
    return number


def test_a_crash_is_shown_and_the_attempt_after_it(world: World) -> None:
    number = world.table.arrange(
        "processing",
        request_id="request-0",
        started_at=world.table.at(-100),
        lease_until=world.table.at(-1),
    )
    [before] = attempts(world, number)
    assert (before["outcome"], before["ended_at"], before["duration"]) == ("processing", None, None)
    world.sweep()
    world.deliver()
    crash, success = attempts(world, number)
    assert (crash["outcome"], crash["error"]["code"]) == ("crashed", "crashed")
    assert (crash["request_id"], success["request_id"]) == ("request-0", "request-1")
    assert crash["duration"] == pytest.approx(100, abs=30)
    assert (success["attempt"], success["outcome"]) == (2, "completed")


def test_attempts_that_were_given_back_are_neither_shown_nor_counted(world: World) -> None:
    number = handled(world, Snooze(1), Snooze(1), ValueError("no"), Snooze(1), "done")
    for _ in range(4):
        again(world, number)
    assert world.table.row(number)["attempt"] == 5
    shown = attempts(world, number)
    assert [(one["attempt"], one["outcome"]) for one in shown] == [
        (1, "retrying"),
        (2, "completed"),
    ]


def test_attempts_before_a_retry_by_hand_stay(world: World) -> None:
    number = handled(world, GiveUp("no"), "done")
    world.service.retry(number)
    assert [one["outcome"] for one in attempts(world, number)] == ["failed"]
    world.deliver()
    shown = attempts(world, number)
    assert [(one["attempt"], one["outcome"]) for one in shown] == [(1, "failed"), (2, "completed")]


def test_a_task_that_was_cancelled_while_it_waited_shows_what_came_before(world: World) -> None:
    number = handled(world, ValueError("no"))
    world.service.cancel(number)
    assert [one["outcome"] for one in attempts(world, number)] == ["retrying"]


def test_attempts_are_answered_over_http(api: Api) -> None:
    number = api.table.arrange("completed", request_id="r", message_id="m", receive_count=2)
    response = api.get(f"/tasks/{number}/attempts")
    assert response.status_code == 200
    [one] = json.loads(response.body)["items"]
    assert list(one) == KEYS
    assert (one["request_id"], one["message_id"], one["receive_count"]) == ("r", "m", 2)
    problem(api.get("/tasks/4711/attempts"), 404)
    problem(api.get("/tasks/x/attempts"), 422)


def test_a_trace_is_shown_by_its_id_also_where_a_row_has_the_whole_header(world: World) -> None:
    root = "1-5759e988-bd862e3fe1be46a994272793"
    header = f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1"
    for kept in (root, header):
        number = world.table.arrange("completed", trace_id=kept)
        assert [one["trace_id"] for one in attempts(world, number)] == [root]
        assert world.service.get(number).trace_id == root
    old = world.table.arrange("processing", trace_id=header, lease_until=world.table.at(-1))
    world.sweep()
    assert [one["trace_id"] for one in attempts(world, old)] == [root]
