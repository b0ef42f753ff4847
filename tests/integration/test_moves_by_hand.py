"""Cancelling, retrying and deleting, over HTTP and as the worker meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from psycopg2.extras import Json

from chalicelib.errors import Stopped
from chalicelib.task import Status
from tests.integration.api import problem
from tests.world import OTHER_TOKEN, bad

if TYPE_CHECKING:
    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.integration.api import Api
    from tests.world import World

OPEN = ("pending", "retrying", "processing")
FINAL = ("completed", "failed", "cancelled")
ALLOWED = {"cancel": OPEN, "retry": ("failed", "cancelled"), "delete": FINAL}


def ask(api: Api, move: str, number: int) -> Any:
    if move == "delete":
        return api.call("DELETE", f"/tasks/{number}")
    return api.call("POST", f"/tasks/{number}/{move}")


@pytest.mark.parametrize("move", ALLOWED)
@pytest.mark.parametrize("status", list(Status))
def test_a_move_is_made_where_it_is_legal_and_refused_with_the_status_elsewhere(
    api: Api, move: str, status: str
) -> None:
    number = api.table.arrange(status)
    before = api.table.row(number)
    response = ask(api, move, number)
    if status in ALLOWED[move]:
        assert response.status_code == (204 if move == "delete" else 200)
        return
    content = problem(response, 409)
    assert content["type"] == "urn:problem-type:tasks:illegal-move"
    assert content["current"] == status
    assert api.table.row(number) == before


@pytest.mark.parametrize("move", ALLOWED)
def test_a_move_of_an_absent_task_is_not_found(api: Api, move: str) -> None:
    problem(ask(api, move, 999), 404)


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_waiting_task_is_cancelled_at_once_and_never_run(world: World, status: str) -> None:
    number = world.table.arrange(status)
    world.queue.put(json.dumps({"task_id": number}))
    view = world.service.cancel(number)
    assert view.status == "cancelled"
    assert view.finished_at
    world.deliver()
    assert world.table.row(number)["attempt"] == (status == "retrying")
    assert world.queue.stored == []


def test_a_running_task_learns_of_its_cancelling_by_its_heartbeat(world: World) -> None:
    def long_work(task: Task, context: Context) -> None:
        context.heartbeat()
        assert world.service.cancel(task.id).status == "processing"
        context.heartbeat()
        pytest.fail("it went on")

    number = bad(world, long_work)
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("cancelled", "cancelled")
    assert [entry["outcome"] for entry in row["attempts"]] == ["cancelled"]
    assert world.queue.stored == []


def test_a_heartbeat_renews_the_lease(world: World) -> None:
    def long_work(task: Task, context: Context) -> None:
        world.table.update(task.id, lease_until=world.table.at(1))
        context.heartbeat()
        assert world.table.row(task.id)["lease_until"] > world.table.at(60)

    assert world.table.status(bad(world, long_work)) == "pending"
    world.deliver()
    [row] = world.table.run("select status from tasks")
    assert row["status"] == "completed"


def test_a_heartbeat_stops_a_worker_that_somebody_newer_replaced(world: World) -> None:
    seen = []

    def long_work(task: Task, context: Context) -> None:
        world.table.update(task.id, lease_token=OTHER_TOKEN)
        try:
            context.heartbeat()
        except Stopped as stopped:
            seen.append(stopped)
            raise

    number = bad(world, long_work)
    world.deliver()
    assert len(seen) == 1
    row = world.table.row(number)
    assert (row["status"], str(row["lease_token"])) == ("processing", OTHER_TOKEN)


def test_a_task_tried_again_by_hand_has_new_attempts_and_a_message(world: World) -> None:
    number = world.table.arrange(
        "failed", attempt=3, result=Json("Error: x"), dispatch_count=4, lease_token=OTHER_TOKEN
    )
    view = world.service.retry(number)
    assert (view.status, view.attempt, view.attempt_limit) == ("pending", 3, 6)
    assert (view.result, view.error, view.finished_at) == (None, None, None)
    assert [letter.id for letter in world.queue.sent] == [number]
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["attempt"]) == ("completed", 4)


def test_a_worker_of_before_the_retry_is_fenced(world: World) -> None:
    def late(task: Task, context: Context) -> str:  # noqa: ARG001
        world.table.update(task.id, lease_until=world.table.at(-1), attempt_limit=1)
        world.sweep()
        assert world.table.status(task.id) == "failed"
        world.service.retry(task.id)
        return "from long ago"

    number = bad(world, late)
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["result"]) == ("pending", None)


def test_a_retry_while_the_queue_is_away_is_sent_by_the_next_sweep(world: World) -> None:
    number = world.table.arrange("failed")
    world.queue.away = True
    world.service.retry(number)
    world.queue.away = False
    assert world.table.unsent() == {number}
    world.sweep()
    assert [letter.id for letter in world.queue.sent] == [number]


def test_a_deleted_task_is_gone_and_its_message_dropped(api: Api) -> None:
    number = api.table.arrange("completed")
    response = ask(api, "delete", number)
    assert (response.status_code, response.body) == (204, b"")
    problem(api.get(f"/tasks/{number}"), 404)


def test_cancelling_twice_is_refused_and_asking_a_worker_twice_is_not(api: Api) -> None:
    number = api.table.arrange("processing")
    first = json.loads(ask(api, "cancel", number).body)
    asked = api.table.row(number)["cancel_requested_at"]
    assert (first["status"], ask(api, "cancel", number).status_code) == ("processing", 200)
    assert api.table.row(number)["cancel_requested_at"] == asked
