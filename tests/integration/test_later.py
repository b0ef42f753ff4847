"""Tasks that are to begin later, and tasks that are not worth beginning too late."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import problem

if TYPE_CHECKING:
    from tests.integration.api import Api
    from tests.world import World

HOUR = 60 * 60


def create(api: Api, **fields: Any) -> dict[str, Any]:
    response = api.post({"title": "later", **fields})
    assert response.status_code == 201, response.body
    return dict(json.loads(response.body))


def stamp(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def grace(api: Api, number: int) -> float:
    """How long after its time (before, if negative) a task is looked at again, in seconds."""
    row = api.table.row(number)
    return float((row["dispatch_after"] - row["run_at"]).total_seconds())


@pytest.mark.parametrize("field", ["delay_seconds", "run_at"])
def test_a_task_due_within_a_quarter_of_an_hour_is_sent_with_its_delay(
    api: Api, field: str
) -> None:
    task = create(api, **{field: stamp(90) if field == "run_at" else 90})
    assert task["status"] == "pending"
    [letter] = api.queue.sent
    assert 85 < letter.delay <= 90
    assert grace(api, task["id"]) == 120


def test_a_task_due_later_is_not_sent_before_its_time_is_near(api: Api) -> None:
    task = create(api, delay_seconds=2 * HOUR)
    assert api.queue.sent == []
    assert grace(api, task["id"]) == -15 * 60


def test_a_far_task_is_sent_by_the_sweeper_with_the_exact_delay(world: World) -> None:
    number = world.table.arrange(
        "pending", run_at=world.table.at(14 * 60), dispatch_after=world.table.at(-60)
    )
    world.sweep()
    [letter] = world.queue.sent
    assert letter.id == number
    assert 14 * 60 - 5 < letter.delay <= 14 * 60


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "2000-01-01T00:00:00-11:00"])
def test_a_time_that_has_passed_means_now(api: Api, moment: str) -> None:
    task = create(api, run_at=moment)
    assert task["run_at"] == task["created_at"]
    assert api.queue.sent[0].delay == 0


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"run_at": "2030-01-01T00:00:00"}, "#/run_at"),
        ({"run_at": "tomorrow"}, "#/run_at"),
        ({"run_at": {}}, "#/run_at"),
        ({"delay_seconds": -1}, "#/delay_seconds"),
        ({"delay_seconds": 1e12}, "#/delay_seconds"),
        ({"delay_seconds": "5"}, "#/delay_seconds"),
        ({"expires_at": "2030-01-01T00:00:00"}, "#/expires_at"),
        ({"run_at": stamp(9), "delay_seconds": 9}, "#"),
        ({"run_at": stamp(9), "expires_at": stamp(8)}, "#/expires_at"),
        ({"run_at": "9999-12-31T23:59:59-05:00"}, "#/run_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "#/expires_at"),
    ],
)
def test_a_wrong_time_is_refused_and_named(api: Api, fields: dict[str, Any], place: str) -> None:
    content = problem(api.post({"title": "later", **fields}), 422)
    assert [error["pointer"] for error in content["errors"]] == [place]
    assert api.table.count() == 0


def test_a_time_that_is_over_is_taken_and_the_task_fails(api: Api, world: World) -> None:
    """Whether it is over is the database's to say: no other clock is compared with it."""
    number = create(api, expires_at=stamp(-HOUR))["id"]
    world.sweep()
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "expired")


def test_a_task_that_was_not_begun_in_time_fails_as_expired(api: Api, world: World) -> None:
    number = create(api, expires_at=stamp(HOUR))["id"]
    assert world.sweep()["expired"] == 0
    world.table.update(number, expires_at=world.table.at(-1))
    assert world.sweep()["expired"] == 1
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "expired")
    assert row["result"] == "Error: The task was not begun in time."


def test_an_expired_task_is_not_begun_even_before_the_sweeper_comes(world: World) -> None:
    number = world.task(expires_at=world.table.at(-1))
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"], row["error"]["code"]) == ("failed", 0, "expired")
    assert world.queue.hidden_for() == [0]


def test_a_task_that_is_being_worked_does_not_expire(world: World) -> None:
    number = world.table.arrange("processing", expires_at=world.table.at(-1))
    assert world.sweep()["expired"] == 0
    assert world.table.status(number) == "processing"


def test_a_past_expiry_is_cleared_by_a_retry_and_a_coming_one_kept(world: World) -> None:
    past, coming = (
        world.table.arrange("failed", expires_at=world.table.at(seconds)) for seconds in (-9, 99)
    )
    for number in (past, coming):
        world.service.retry(number)
    assert world.table.row(past)["expires_at"] is None
    assert world.table.row(coming)["expires_at"] is not None
