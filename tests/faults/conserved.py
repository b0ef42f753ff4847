"""The invariant that every fault is held against: nothing lost, nothing stuck, one result each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.task import MOVES, Status

if TYPE_CHECKING:
    from tests.faults.scene import Scene

#: So many days suffice for three attempts, a suspicion and messages that were lost in between.
DAYS = 12


def conserved(scene: Scene) -> dict[int, dict[str, Any]]:
    """Let time pass until everything has ended, check the invariant, and return the rows by id.

    No task that a client was told of is lost; none is left unfinished, and no message either; no
    task used more attempts than it had; and each has one result at most, its newest attempt's.
    """
    for _ in range(DAYS):
        if not _unfinished(scene) and not scene.line.left():
            break
        scene.later()
    rows = {row["id"]: row for row in scene.table.run("select * from tasks")}
    assert scene.acknowledged - set(rows) == set(), "acknowledged tasks are lost"
    assert _unfinished(scene) == [], "tasks are stuck"
    assert scene.line.left() == 0, "messages are left over"
    for row in rows.values():
        _check(row)
    _check_moves(scene)
    return rows


def all_completed(scene: Scene, *ids: int) -> None:
    """Check the invariant, and that these tasks (all if none are given) came to their result."""
    rows = conserved(scene)
    unfit = {row["id"]: row["error"] for row in rows.values() if row["status"] != "completed"}
    assert {number: unfit[number] for number in unfit if not ids or number in ids} == {}
    assert set(ids) <= set(rows)


def _unfinished(scene: Scene) -> list[dict[str, Any]]:
    return scene.table.run("select id, status from tasks where finished_at is null")


def _check(row: dict[str, Any]) -> None:
    assert row["attempt"] <= row["attempt_limit"], row
    if row["status"] == "completed" and isinstance(row["result"], dict):
        # Handlers of these tests tell their attempt: a result is that of the newest.
        spent = row["attempt"] - row["release_count"]
        assert row["result"].get("attempt", spent) == spent, row


def _check_moves(scene: Scene) -> None:
    completed: set[int] = set()
    for move in scene.table.run("select * from moves"):
        old, new = Status(move["old_status"]), Status(move["new_status"])
        assert new in MOVES[old] or new is old is not Status.COMPLETED, move
        if new is Status.COMPLETED:
            assert move["task_id"] not in completed, f"two results: {move}"
            completed.add(move["task_id"])
