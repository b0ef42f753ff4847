"""The worker: killed, timed out, poisoned, overtaken; and what handlers give it."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import GiveUp
from tests.fakes import FakeContext
from tests.faults.conftest import close_client
from tests.faults.conserved import all_completed, conserved
from tests.faults.handlers_app import WorkerProcess
from tests.faults.lines import SqsLine
from tests.faults.scene import Scene, in_thread
from tests.world import raising, returning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT = 2  # seconds, the least that settings allow
AMPLE = 15  # seconds: a sixth of it is enough to import boto3 on a busy machine


class Crew:
    """The scene whose worker is a process of its own."""

    def __init__(self, scene: Scene, worker: WorkerProcess) -> None:
        self.scene = scene
        self.worker = worker
        scene.invoke = worker.invoke

    def post(self, kind: str) -> int:
        # The API of this process does not know the kinds of that one.
        number = self.scene.posted()
        self.scene.table.update(number, kind=kind)
        return number


@pytest.fixture
def crew(
    scene_of: Callable[..., Scene],
    sqs: Any,
    queue_name: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Crew]:
    """The scene and its worker, whose time limit is LIMIT or the fixture's parameter."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs.meta.endpoint_url)
    scene = scene_of(line=SqsLine(sqs, queue_name), queue_name=queue_name)
    environ = {
        "DATABASE_URL": url,
        "QUEUE_NAME": queue_name,
        "AWS_ENDPOINT_URL_SQS": sqs.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    worker = WorkerProcess(tmp_path, environ, getattr(request, "param", LIMIT))
    yield Crew(scene, worker)
    worker.close()
    close_client(scene)


def test_a_worker_killed_in_a_batch_costs_its_neighbours_nothing_and_its_task_an_attempt(
    crew: Crew,
) -> None:
    others = [crew.post("default") for _ in range(4)]
    number = crew.post("killed")
    crew.scene.deliver()
    assert len(crew.worker.deaths) == 1
    assert crew.scene.table.status(number) == "processing"
    all_completed(crew.scene, number, *others)
    assert crew.scene.table.row(number)["attempt"] == 2
    # The effect outside was had twice, under a key that lets its receiver have it once.
    first, second = crew.worker.effects()
    assert first == second
    assert first.startswith(f"task-{number}-")


def test_a_task_that_ends_its_process_every_time_fails_and_its_neighbours_complete(
    crew: Crew,
) -> None:
    others = [crew.post("default") for _ in range(3)]
    number = crew.post("poison")
    rows = conserved(crew.scene)
    assert {rows[one]["status"] for one in others} == {"completed"}
    row = rows[number]
    assert (row["status"], row["error"]["code"]) == ("failed", "crashed")
    assert row["attempt"] - row["release_count"] == 3
    assert len(crew.worker.deaths) == row["attempt"]


@pytest.mark.parametrize("crew", [AMPLE], indirect=True, ids=["fifteen seconds"])
def test_a_handler_that_hangs_is_interrupted_in_time_and_fails_after_its_attempts(
    crew: Crew,
) -> None:
    others = [crew.post("default") for _ in range(2)]
    number = crew.post("hangs")
    crew.scene.table.update(number, attempt_limit=2)
    rows = conserved(crew.scene)
    row = rows[number]
    assert (row["status"], row["error"]["code"]) == ("failed", "timeout")
    assert re.fullmatch(
        r"The handler was interrupted after (1[12]\.\d) s\.", row["error"]["message"]
    )
    assert [entry["error"]["code"] for entry in row["attempts"]] == ["timeout"] * 2
    assert {(rows[one]["status"], rows[one]["attempt"]) for one in others} == {("completed", 1)}
    assert crew.worker.deaths == []


def test_a_handler_that_hears_no_interruption_is_ended_by_the_time_limit(crew: Crew) -> None:
    number = crew.post("deaf")
    crew.scene.table.update(number, attempt_limit=2)
    rows = conserved(crew.scene)
    assert (rows[number]["status"], rows[number]["error"]["code"]) == ("failed", "crashed")
    assert rows[number]["attempt"] == 2
    assert all("timed out" in death for death in crew.worker.deaths)
    assert len(crew.worker.deaths) == 2


def test_a_batch_without_time_left_gives_its_attempts_back(scene: Scene) -> None:
    ids = [scene.posted() for _ in range(5)]
    records = scene.line.receive()
    answer = scene.runtime.work({"Records": records}, FakeContext(seconds=1))
    kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    scene.line.delete([record for record in records if record["messageId"] not in kept])
    rows = [scene.table.row(number) for number in ids]
    assert [row["status"] for row in rows].count("completed") == 1  # one is always tried
    assert {row["attempt"] - row["release_count"] for row in rows} == {0, 1}
    all_completed(scene, *ids)
    assert {scene.table.row(n)["attempt"] - scene.table.row(n)["release_count"] for n in ids} == {1}


MEANWHILE = [
    "another worker has it",
    "another worker is done",
    "the sweeper rescued it",
    "it was retried by hand",
]


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_worker_that_outlives_its_lease_writes_nothing(scene: Scene, meanwhile: str) -> None:
    overtaken, began = threading.Event(), threading.Event()

    @scene.registry.handler("slow")
    def slow(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        if not began.is_set():
            began.set()
            assert overtaken.wait(20)
        elif meanwhile == "another worker has it":
            zombie_ends()
        return {"attempt": task.attempts_spent}

    def zombie_ends() -> None:
        before = scene.table.row(number)
        overtaken.set()
        zombie.join()
        assert scene.table.row(number) == before

    number = scene.posted(kind="slow")
    zombie = in_thread(scene.deliver)
    assert began.wait(20)
    _overtake(scene, number, meanwhile)
    zombie_ends()
    all_completed(scene, number)
    assert scene.table.row(number)["result"] == {"attempt": 2}


def _overtake(scene: Scene, number: int, meanwhile: str) -> None:
    by_hand = meanwhile == "it was retried by hand"
    scene.table.update(number, attempt_limit=1 if by_hand else 3)
    scene.pass_time()
    if meanwhile.startswith("another worker"):
        scene.deliver_all()
        return
    scene.sweep()
    if by_hand:
        assert scene.table.status(number) == "failed"
        scene.runtime.serve(None).retry(number)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 10_000_000, id="ten megabytes"),
        "a\0b",
        object(),
        float("nan"),
        {1: {2: b"bytes"}},
    ],
)
def test_a_result_that_cannot_be_kept_ends_its_task_and_no_other(scene: Scene, value: Any) -> None:
    scene.registry.handler("odd")(returning(value))
    neighbour, number = scene.posted(), scene.posted(kind="odd")
    rows = conserved(scene)
    assert (rows[number]["status"], rows[number]["attempt"]) == ("failed", 1)
    assert rows[number]["error"]["code"] == "permanent"
    assert rows[neighbour]["status"] == "completed"


def test_passing_failures_are_tried_again_and_final_ones_are_not(scene: Scene) -> None:
    tries: dict[int, int] = {}

    @scene.registry.handler("passing")
    def passing(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        tries[task.id] = tries.get(task.id, 0) + 1
        if tries[task.id] < 3:
            raise ConnectionError("not yet")
        return {"attempt": task.attempts_spent}

    scene.registry.handler("final")(raising(GiveUp("never")))
    passing_ids = [scene.posted(kind="passing") for _ in range(10)]
    final_ids = [scene.posted(kind="final") for _ in range(5)]
    rows = conserved(scene)
    assert {rows[n]["status"] for n in passing_ids} == {"completed"}
    assert {rows[n]["attempt"] for n in passing_ids} == {3}
    assert {(rows[n]["status"], rows[n]["attempt"]) for n in final_ids} == {("failed", 1)}
