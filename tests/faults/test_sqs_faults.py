"""The queue: away, emptied, doubling, shuffling; its dead letters, and batches half done."""

from __future__ import annotations

import functools
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import GiveUp, RetryLater
from localdev import seed
from localdev.sqs import SqsServer
from tests.faults.conftest import close_client
from tests.faults.conserved import all_completed, conserved
from tests.faults.lines import SqsLine
from tests.faults.scene import in_thread
from tests.world import raising

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.proxy import Proxy
    from tests.faults.scene import Scene


def test_five_minutes_without_a_queue_are_made_good_for_every_task(
    wired: Scene, sqs_proxy: Proxy
) -> None:
    sqs_proxy.refusing = True
    ids = [wired.posted() for _ in range(30)]
    for _ in range(5):
        assert wired.sweep()["sent"] == 0
    sqs_proxy.refusing = False
    assert wired.sweep()["sent"] == 30
    all_completed(wired, *ids)
    assert sorted(wired.runs) == ids


def test_a_queue_that_comes_back_empty_loses_no_task(
    scene_of: Callable[..., Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is stopped and started: messages and the queues themselves are gone."""
    with SqsServer(log=tmp_path / "log") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.endpoint)
        client = seed.make_client(server.endpoint, "us-east-1", retries={"total_max_attempts": 1})
        plan = seed.Plan("tasks", "tasks-dlq", 360, 3)
        seed.seed(client, plan)
        scene = scene_of(line=SqsLine(client, "tasks"), queue_name="tasks")
        ids = [scene.posted() for _ in range(12)]
        assert scene.line.left() == 12
        server.stop()
        ids.append(scene.posted())
        server.start()
        server.wait_until_ready()
        ids.append(scene.posted())  # to a queue that does not exist
        assert scene.table.unsent() == set(ids[-2:])
        seed.seed(client, plan)
        assert scene.line.left() == 0
        all_completed(scene, *ids)
        assert sorted(scene.runs) == ids
        close_client(scene)
        client.close()


def test_a_queue_that_was_purged_is_filled_again_by_what_it_lacks(wired: Scene, sqs: Any) -> None:
    ids = [wired.posted() for _ in range(25)]
    assert isinstance(wired.line, SqsLine)
    sqs.purge_queue(QueueUrl=wired.line.url)
    assert wired.sweep()["sent_again"] == 0  # they could still be on their way
    wired.pass_time()
    assert wired.sweep()["sent_again"] == 25
    all_completed(wired, *ids)
    assert sorted(wired.runs) == ids


def test_every_message_twice_and_two_workers_give_one_result_each(wired: Scene) -> None:
    ids = [wired.posted() for _ in range(20)]
    assert isinstance(wired.line, SqsLine)
    for number in ids:
        body = json.dumps({"task_id": number})
        wired.line.client.send_message(QueueUrl=wired.line.url, MessageBody=body)
    batches = [wired.line.receive() for _ in range(4)]
    workers = [in_thread(functools.partial(wired.hand_over, batch)) for batch in batches]
    for worker in workers:
        worker.join()
    all_completed(wired, *ids)
    assert sorted(wired.runs) == ids


def test_messages_out_of_order_with_failures_in_between_harm_nothing(scene: Scene) -> None:
    dice = random.Random(7)
    failed_once: set[int] = set()

    @scene.registry.handler("shaky")
    def shaky(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        if task.id not in failed_once and dice.random() < 0.5:
            failed_once.add(task.id)
            raise RetryLater(seconds=dice.random() * 100)
        return {"attempt": task.attempts_spent}

    ids = [scene.posted(kind="shaky") for _ in range(40)]
    queue: Any = scene.runtime.queue
    for _ in range(30):
        dice.shuffle(queue.stored)
        scene.hand_over(queue.receive(dice.randint(1, 4)))
        queue.now += dice.random() * 60
    assert failed_once
    all_completed(scene, *ids)


@pytest.mark.parametrize("mapping", ["reports", "does not report"])
def test_one_bad_message_of_ten_is_kept_and_nine_are_gone(
    scene_of: Callable[..., Scene], sqs: Any, queue_name: str, mapping: str, request: Any
) -> None:
    """With ReportBatchItemFailures and without: in neither case is the bad one deleted."""
    request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL_SQS", sqs.meta.endpoint_url)
    reports = mapping == "reports"
    scene = scene_of(
        line=SqsLine(sqs, queue_name),
        queue_name=queue_name,
        partial_batch="report" if reports else "delete",
    )
    scene.reports = reports
    scene.registry.handler("bad")(raising(RetryLater("not yet")))
    good = [scene.posted() for _ in range(9)]
    bad = scene.posted(kind="bad")
    assert len(scene.deliver()) == 10
    assert {scene.table.status(number) for number in good} == {"completed"}
    assert scene.table.status(bad) == "retrying"
    assert scene.line.left() == 1
    rows = conserved(scene)
    assert (rows[bad]["status"], rows[bad]["attempt"]) == ("failed", 3)
    close_client(scene)


def _dead(scene: Scene, sqs: Any) -> int:
    url = sqs.get_queue_url(QueueName=scene.runtime.settings.dead_letter_queue_name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(asked["Attributes"]["ApproximateNumberOfMessages"])


def test_a_message_dead_lettered_while_its_task_runs_leaves_the_task_alone(
    wired: Scene, sqs: Any
) -> None:
    """Throttled invocations burn receives: the letter is dead, its task is not."""
    seen: list[tuple[str, int]] = []

    @wired.registry.handler("long")
    def long(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        for _ in range(3):
            wired.line.hurry()
            wired.line.receive()
        seen.append((wired.table.status(task.id), _dead(wired, sqs)))
        wired.sweep()
        seen.append((wired.table.status(task.id), _dead(wired, sqs)))
        return {"attempt": task.attempts_spent}

    number = wired.posted(kind="long")
    wired.deliver()
    # The sweeper takes a letter away whose task is not failed.
    assert seen == [("processing", 1), ("processing", 0)]
    all_completed(wired, number)


def test_a_message_dead_lettered_before_its_task_ran_is_replaced(wired: Scene, sqs: Any) -> None:
    number = wired.posted()
    for _ in range(4):
        wired.line.receive()
        wired.line.hurry()
    assert (_dead(wired, sqs), wired.line.left()) == (1, 0)
    assert wired.table.status(number) == "pending"
    all_completed(wired, number)


def test_a_redrive_of_a_thousand_letters_changes_no_finished_task(scene: Scene) -> None:
    """Two in three are letters of tasks that somebody saw to since; the others are still dead."""
    scene.registry.handler("hopeless")(raising(GiveUp("no")))
    queue: Any = scene.runtime.queue
    for n in range(1000):
        scene.posted(kind="hopeless" if n % 3 == 0 else "default")
    scene.deliver_all()
    before = scene.table.run(
        "select id, status, attempt, result, updated_at from tasks order by id"
    )
    # What StartMessageMoveTask does: they come back as new messages, some of them stale.
    queue.letters.stored.clear()
    for row in before:
        queue.put(json.dumps({"task_id": row["id"]}))
    rows = conserved(scene)
    after = scene.table.run("select id, status, attempt, result, updated_at from tasks order by id")
    assert before == after
    failed = {number for number, row in rows.items() if row["status"] == "failed"}
    assert len(failed) == 334
    assert sorted(json.loads(body)["task_id"] for body in queue.dead) == sorted(failed)
    assert len(scene.runs) == 666


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "deleted"])
def test_a_late_message_of_a_finished_task_changes_nothing_of_it(scene: Scene, status: str) -> None:
    at = {} if status == "deleted" else {"id": scene.table.arrange(status)}
    number = at.get("id", 4711)
    before = scene.table.run("select * from tasks")
    queue: Any = scene.runtime.queue
    queue.put(json.dumps({"task_id": number}))
    scene.deliver()
    assert scene.table.run("select * from tasks") == before
    assert scene.line.left() == (1 if status == "failed" else 0)
    conserved(scene)
    assert scene.runs == []
