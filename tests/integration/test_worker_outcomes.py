"""What a handler returns or raises decides its own task's fate, and no other's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import (
    GiveUp,
    RetryLater,
    Snooze,
    StoreRejected,
)
from tests.world import bad, raising, returning

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.fakes import Heard
    from tests.world import World


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_what_is_done_is_settled_before_a_kind_that_is_slow_or_unknown(world: World) -> None:
    def look(task: Task, context: Context) -> str:  # noqa: ARG001
        return world.table.status(first)

    world.worker._runner._duration["default"] = 0.001
    first = world.task()
    second = bad(world, look, "unknown-so-far")
    world.deliver()
    assert world.table.row(second)["result"] == "completed"


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("a\0b", "must not contain NUL characters"),
        ({"\0": 1}, "must not contain NUL characters"),
        ("\ud800", "must not contain lone surrogates"),
        (float("nan"), "is not JSON"),
        ([float("inf")], "is not JSON"),
        pytest.param(
            "x" * (300 * 1024),
            "takes 307,202 bytes as JSON; at most 262,144 are kept",
            id="300 KiB",
        ),
        (object(), "is not JSON"),
        ({(1, 2): 3}, "is not JSON"),
    ],
)
def test_a_result_that_cannot_be_kept_fails_its_task_for_good_and_no_other(
    world: World, result: Any, why: str
) -> None:
    number, neighbour = bad(world, returning(result)), world.task()
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["error"]["code"]) == ("failed", 1, "permanent")
    assert why in row["error"]["message"]
    assert row["result"].startswith("Error: The handler's result ")
    assert world.table.status(neighbour) == "completed"


def test_a_result_nested_deeper_than_an_answer_can_show_fails_its_task(world: World) -> None:
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    number = bad(world, returning(nested))
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "permanent")
    assert "nested too deeply" in row["error"]["message"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no luck"), "no luck"),
        (SystemExit(3), "3"),
        (ValueError("a\0b\ud800c"), "ab?c"),
        pytest.param(ValueError("é" * 5000), "é" * 2046 + "…", id="a long text"),
        (RetryLater("not yet"), "not yet"),
        (RecursionError("deep"), "deep"),
        (KeyboardInterrupt("stop"), "stop"),
        (asyncio.CancelledError("gone"), "gone"),
        (GeneratorExit("over"), "over"),
    ],
)
def test_whatever_a_handler_raises_is_told_and_tried_again(
    world: World, error: BaseException, text: str
) -> None:
    number, neighbour = bad(world, raising(error)), world.task()
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["result"]) == ("retrying", 1, None)
    assert row["error"] == {
        "code": "exception",
        "class": type(error).__name__,
        "message": text,
    }
    assert world.table.status(neighbour) == "completed"
    assert world.queue.hidden_for() == [30]


def test_an_exception_that_cannot_even_be_printed_harms_no_neighbour(world: World) -> None:
    number, neighbour = bad(world, raising(Unprintable())), world.task()
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["class"]) == ("retrying", "Unprintable")
    assert world.table.status(neighbour) == "completed"


def test_a_handler_that_misuses_a_signal_harms_no_neighbour(world: World) -> None:
    def action(task: Task, context: Context) -> None:  # noqa: ARG001
        raise RetryLater(seconds="soon")  # type: ignore[arg-type]

    number, neighbour = bad(world, action), world.task()
    world.deliver()
    assert world.table.status(number) == "retrying"
    assert world.table.status(neighbour) == "completed"


@pytest.mark.parametrize("seconds", [1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("signal", [lambda wait: RetryLater(seconds=wait), Snooze])
def test_a_wait_that_makes_no_sense_is_an_error_of_its_handler(
    world: World, signal: Callable[[float], Exception], seconds: float
) -> None:
    def action(task: Task, context: Context) -> None:  # noqa: ARG001
        raise signal(seconds)

    number, neighbour = bad(world, action), world.task()
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["class"]) == ("retrying", "ValueError")
    assert "A wait is at most 31622400 seconds" in row["error"]["message"]
    assert world.table.status(neighbour) == "completed"


def test_what_is_logged_is_what_was_written_not_what_was_wanted(world: World, heard: Heard) -> None:
    number = bad(world, returning("fine"))
    world.query.before["settle_attempts"] = [StoreRejected()]
    world.deliver()
    assert world.table.status(number) == "failed"
    [line] = [record for record in heard.records if record.getMessage() == "task_failed"]
    assert (vars(line)["code"], vars(line)["exception"]) == ("permanent", "StoreRejected")


def test_a_task_fails_after_its_last_attempt_and_its_message_is_dead_lettered(
    world: World,
) -> None:
    number = bad(world, raising(ValueError("no luck")))
    waits: list[float] = []
    for _ in range(3):
        world.deliver()
        waits += world.queue.hidden_for()
        world.queue.now += waits[-1]
        if world.table.status(number) == "retrying":
            world.table.update(number, run_at=world.table.at(-1))
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["result"]) == ("failed", 3, "Error: no luck")
    assert [one["outcome"] for one in row["attempts"]] == ["retrying", "retrying", "failed"]
    assert waits[0] == 30
    assert 45 <= waits[1] <= 75
    assert waits[2] == 0
    world.deliver()
    assert [json.loads(body)["task_id"] for body in world.queue.dead] == [number]


def test_retry_later_may_say_when(world: World) -> None:
    number = bad(world, raising(RetryLater(seconds=100)))
    world.deliver()
    assert world.table.status(number) == "retrying"
    assert world.queue.hidden_for() == [100]


def test_giving_up_fails_the_task_at_once(world: World) -> None:
    number = bad(world, raising(GiveUp("never")))
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["result"]) == ("failed", 1, "Error: never")
    assert row["error"]["code"] == "permanent"


def test_a_snooze_costs_no_attempt_and_lets_the_message_go(world: World) -> None:
    number = bad(world, raising(Snooze(100)))
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"] - row["release_count"]) == ("retrying", 0)
    assert (row["error"], row["attempts"]) == (None, [])
    assert world.queue.stored == []
    assert world.table.unsent() == {number}


def test_a_kind_that_nobody_knows_yet_waits_for_its_deploy_and_costs_no_attempt(
    world: World,
) -> None:
    number = world.task(kind="of-tomorrow")
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"] - row["release_count"]) == ("retrying", 0)
    world.registry.handler("of-tomorrow")(returning("now"))
    world.table.update(number, run_at=world.table.at(-1))
    world.sweep()
    world.deliver()
    assert world.table.row(number)["result"] == "now"


def test_a_kind_that_stays_unknown_for_an_hour_fails_its_task(world: World) -> None:
    number = world.task(kind="of-never", attempt=60, release_count=60, attempt_limit=63)
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["class"]) == ("failed", "UnknownKind")
