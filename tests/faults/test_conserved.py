"""The invariant that every fault is held against finds what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.conserved import all_completed, conserved

if TYPE_CHECKING:
    from tests.faults.scene import Scene


@pytest.fixture
def url(own_url: str) -> str:
    """Each test has a database of its own: they change its schema or its settings."""
    return own_url


def lose(scene: Scene, number: int) -> None:
    scene.table.run("delete from tasks where id = %s", [number])


def strand(scene: Scene, number: int) -> None:
    # Neither the sweeper nor a message will ever find it.
    scene.table.update(number, run_at="infinity", dispatch_after="infinity")


def leave_a_message(scene: Scene, number: int) -> None:
    def ignored(_: Any) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": one.id} for one in queue.stored]}

    queue: Any = scene.runtime.queue
    scene.deliver()
    scene.invoke = ignored
    queue.max_receives = 1000
    queue.put(json.dumps({"task_id": number}))


def complete_twice(scene: Scene, number: int) -> None:
    scene.deliver()
    scene.table.run("update tasks set result = '{\"other\": 1}' where id = %s", [number])


def open_again(scene: Scene, number: int) -> None:
    scene.deliver()
    lease = "lease_until = now(), finished_at = null, result = null"
    scene.table.run(f"update tasks set status = 'processing', {lease} where id = {number}")  # noqa: S608


def keep_a_stale_result(scene: Scene, number: int) -> None:
    scene.deliver()
    scene.table.run("alter table tasks disable trigger witness")
    scene.table.update(number, attempt=2)


FLAWS = {
    "acknowledged tasks are lost": lose,
    "tasks are stuck": strand,
    "messages are left over": leave_a_message,
    "'result': {'other': 1}": complete_twice,
    "'completed', 'new_status': 'processing'": open_again,
    "'attempt': 2": keep_a_stale_result,
}


@pytest.mark.parametrize("told", FLAWS)
def test_the_invariant_fails_where_something_is_wrong(scene: Scene, told: str) -> None:
    number = scene.posted()
    FLAWS[told](scene, number)
    with pytest.raises(AssertionError, match=told):
        conserved(scene)


def test_the_invariant_holds_where_nothing_is_wrong(scene: Scene) -> None:
    all_completed(scene, scene.posted())
