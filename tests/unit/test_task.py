"""The life a task may lead."""

from __future__ import annotations

from chalicelib.task import MOVES, Status, Task
from tests.unit.test_registry import task

FINAL = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


def test_every_status_is_reached_and_its_moves_are_told() -> None:
    assert set(MOVES) == set(Status)
    reached = {Status.PENDING}
    while more := {to for status in reached for to in MOVES[status]} - reached:
        reached |= more
    assert reached == set(Status)


def test_only_a_final_task_does_not_go_on_by_itself() -> None:
    for status in Status:
        onward = MOVES[status] - {Status.PENDING}  # trying again is asked for by hand
        assert (onward == set()) == (status in FINAL)


def test_from_every_status_a_final_one_can_be_reached_in_two_moves() -> None:
    for status in set(Status) - FINAL:
        assert any(to in FINAL or MOVES[to] & FINAL for to in MOVES[status])


def test_a_completed_task_stays_completed() -> None:
    assert MOVES[Status.COMPLETED] == set()


def test_columns_that_a_newer_schema_added_are_passed_over() -> None:
    one = task()
    row = {name: getattr(one, name) for name in Task.__dataclass_fields__}
    assert Task.from_row(row | {"status": "processing", "of_tomorrow": 1}) == one


def test_attempts_that_were_given_back_do_not_count() -> None:
    assert task(attempt=5, release_count=3).attempts_spent == 2
