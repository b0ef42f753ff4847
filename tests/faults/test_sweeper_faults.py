"""The sweeper: twice at once, dead between two steps, absent, and before a long backlog."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.conserved import all_completed, conserved
from tests.faults.scene import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scene import Scene


def test_two_sweepers_at_once_send_every_message_once(scene: Scene) -> None:
    scene.table.run(
        "insert into tasks (title, dispatch_after)"
        " select 'x', '-infinity' from generate_series(1, 1000)"
    )
    done: list[dict[str, int]] = []
    sweepers = [in_thread(lambda: done.append(scene.sweep())) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.join()
    assert sum(one["sent"] for one in done) == 1000
    queue: Any = scene.runtime.queue
    sent = [letter.id for letter in queue.sent]
    assert len(sent) == len(set(sent)) == 1000
    rows = conserved(scene)
    assert {row["status"] for row in rows.values()} == {"completed"}


class Death(BaseException):
    """The end of a process: nothing more is done in it."""


def test_a_sweeper_that_dies_between_its_marks_and_its_messages_costs_one_wait(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: Any = scene.runtime.queue
    queue.away = True
    ids = [scene.posted() for _ in range(5)]
    queue.away = False

    def die(_: Any) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(queue, "send", die)
        with pytest.raises(Death):
            scene.sweep()
    assert scene.table.unsent() == set()
    assert scene.sweep()["sent"] == 0
    scene.pass_time()
    assert scene.sweep()["sent_again"] == 5
    all_completed(scene, *ids)


def test_without_a_sweeper_the_queue_alone_brings_a_killed_workers_task_back(scene: Scene) -> None:
    number = scene.posted()
    records = scene.line.receive()
    with pytest.raises(Death), _dying_settlement(scene):
        scene.hand_over(records)
    assert scene.table.status(number) == "processing"
    scene.pass_time()
    scene.deliver_all()
    assert scene.table.status(number) == "completed"
    all_completed(scene, number)


@contextlib.contextmanager
def _dying_settlement(scene: Scene) -> Iterator[None]:
    def die(*_: Any, **__: Any) -> None:
        raise Death

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene.runtime.store, "settle_attempts", die)
        yield


def test_a_long_backlog_is_not_sent_again_and_again(scene: Scene) -> None:
    """Fifty thousand wait their turn for hours, and the sweeper ticks."""
    total = 50_000
    scene.table.run(
        "insert into tasks (title, dispatch_after)"
        " select 'x', now() - interval '1 h' from generate_series(1, %s)",
        [total],
    )
    queue: Any = scene.runtime.queue
    for number in range(1, total + 1):
        queue.put(f'{{"task_id": {number}}}')
    for _ in range(5):
        scene.table.run(
            "update tasks set dispatch_after = now() - interval '1 h' where status = 'pending'"
            " and id % 10 = 0"
        )
        scene.sweep()
    assert len(queue.sent) <= total * 0.05
    # The end is shown with the last hundred; the others are worked like them.
    scene.table.run("delete from tasks where id <= %s", [total - 100])
    del queue.stored[: total - 100]
    rows = conserved(scene)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert len(rows) == len(scene.runs) == 100
