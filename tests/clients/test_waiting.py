"""Waiting: how long, for what, and at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tasks_client import Client, NotFinished, Progress, TaskNotFound
from tests.clients.fake_service import answers, breaks, loses_the_answer, problem

if TYPE_CHECKING:
    from tests.clients.fake_service import FakeService


def test_a_wait_ends_when_the_task_does(service: FakeService, client: Client) -> None:
    [one] = service.add("pending")
    service.at(50, one, status="completed", result="done")
    begun = service.now
    assert client.wait(one).result == "done"
    assert service.now - begun == 50
    assert service.sent("Prefer") == ["wait=20"] * 3
    assert service.sleeps == []


def test_a_wait_that_learns_of_a_change_goes_on(service: FakeService, client: Client) -> None:
    [one] = service.add("pending")
    service.at(30, one, status="processing")
    service.at(35, one, status="failed")
    assert client.wait(one).status == "failed"
    tags = service.sent("If-None-Match")
    assert tags[0] is None
    assert None not in tags[1:]
    assert service.sleeps == []


def test_a_finished_task_is_not_waited_for(service: FakeService, client: Client) -> None:
    [one] = service.add("cancelled")
    assert client.wait(one).status == "cancelled"
    assert len(service.requests) == 1


@pytest.mark.parametrize("timeout", [0, 0.4, 3.5, 20, 47.3])
def test_a_wait_is_over_when_its_time_is(
    service: FakeService, client: Client, timeout: float
) -> None:
    [one] = service.add("pending")
    begun = service.now
    with pytest.raises(NotFinished, match=f"task {one} is still pending") as caught:
        client.wait(one, timeout)
    assert service.now - begun == pytest.approx(timeout)
    assert [task.id for task in caught.value.unfinished] == [one]
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("etags", [True, False])
def test_a_service_that_holds_nothing_back_is_not_asked_without_rest(
    service: FakeService, client: Client, *, etags: bool
) -> None:
    service.holds, service.etags = False, etags
    [one] = service.add("pending")
    service.at(30, one, status="completed")
    assert client.wait(one).succeeded
    assert len(service.requests) <= 32


def test_a_task_that_is_due_late_is_looked_at_in_between(
    service: FakeService, client: Client
) -> None:
    service.holds, service.retry_after = False, "3600"
    [one] = service.add("pending")
    service.at(30, one, status="cancelled")
    begun = service.now
    assert client.wait(one).status == "cancelled"
    assert service.now - begun <= 40


def test_a_wait_outlives_what_fails_in_passing(service: FakeService, client: Client) -> None:
    [one] = service.add("pending")
    service.at(30, one, status="completed")
    service.faults.extend([answers(503), loses_the_answer, breaks(httpx.ConnectError)])
    assert client.wait(one).succeeded


def test_a_create_can_wait_for_its_result(service: FakeService, client: Client) -> None:
    service.at(5, 1, status="completed", result=42)
    assert client.create("t", wait=10).result == 42
    assert service.sent("Prefer") == ["wait=10"]


def test_a_create_waits_longer_than_one_request_can_be_held(
    service: FakeService, client: Client
) -> None:
    service.at(45, 1, status="completed", result=42)
    assert client.create("t", wait=60).result == 42
    assert service.asked()[:2] == ["POST /prod/tasks", "GET /prod/tasks/1"]


def test_a_create_whose_wait_ends_too_early_returns_the_task(client: Client) -> None:
    assert client.create("t", wait=30).status == "pending"


def test_a_create_whose_wait_fails_returns_the_task(service: FakeService, client: Client) -> None:
    service.faults.extend([lambda _: None, answers(403)])
    assert client.create("t", wait=30).id == 1


def test_many_are_waited_for_in_the_order_asked(service: FakeService, client: Client) -> None:
    service.add("pending", "completed", "pending")
    service.at(10, 3, status="failed")
    service.at(30, 1, status="completed")
    seen: list[Progress] = []
    tasks = client.wait_all([3, 1, 2], on_progress=seen.append)
    assert [task.id for task in tasks] == [3, 1, 2]
    assert [progress.finished for progress in seen] == [0, 1, 2, 3]
    assert seen[-1] == Progress(total=3, completed=2, failed=1, cancelled=0)


def test_none_are_waited_for_at_once(service: FakeService, client: Client) -> None:
    assert client.wait_all([]) == []
    assert client.wait_all(tag="nobody has it") == []
    assert len(service.requests) == 1


def test_many_share_one_time_limit(service: FakeService, client: Client) -> None:
    service.add("pending", "pending")
    service.at(30, 1, status="completed")
    begun = service.now
    with pytest.raises(NotFinished):
        client.wait_all([1, 2], timeout=40)
    assert service.now - begun == pytest.approx(40)


def test_every_task_that_is_not_finished_is_told_when_the_time_is_over(
    service: FakeService, client: Client
) -> None:
    service.add("pending", "completed", "processing", "failed", "pending")
    service.at(10, 5, status="completed")
    begun = service.now
    seen: list[Progress] = []
    with pytest.raises(NotFinished, match="2 of 5 tasks are not finished") as caught:
        client.wait_all([1, 2, 3, 4, 5], timeout=40, on_progress=seen.append)
    assert service.now - begun == pytest.approx(40)
    assert [task.id for task in caught.value.unfinished] == [1, 3]
    assert seen[-1] == Progress(total=5, completed=2, failed=1, cancelled=0)


def test_a_missing_task_is_told(service: FakeService, client: Client) -> None:
    service.add("completed")
    with pytest.raises(TaskNotFound):
        client.wait_all([1, 2])


def test_all_with_a_tag_are_waited_for_and_no_others(service: FakeService, client: Client) -> None:
    service.add(*["pending"] * 120, tags=["x"])
    service.add("pending", tags=["y"])
    for number in range(1, 121):
        service.at(number, number, status="failed" if number == 7 else "completed")
    seen: list[Progress] = []
    tasks = client.wait_all(tag="x", on_progress=seen.append)
    assert [task.id for task in tasks] == list(range(1, 121))
    assert seen[-1] == Progress(total=120, completed=119, failed=1, cancelled=0)
    finished = [progress.finished for progress in seen]
    assert finished == sorted(finished)
    assert len(service.sleeps) <= 122


def test_tasks_that_come_while_waiting_are_waited_for_too(
    service: FakeService, client: Client
) -> None:
    service.add("pending", tags=["x"])
    service.add("pending", tags=["later"])
    service.at(5, 2, tags=["x"])
    service.at(6, 1, status="completed")
    service.at(20, 2, status="completed")
    assert [task.id for task in client.wait_all(tag="x")] == [1, 2]


def test_a_task_retried_behind_the_oldest_open_one_is_waited_for_too(
    service: FakeService, client: Client
) -> None:
    service.add("failed", "pending", tags=["x"])
    service.at(5, 1, status="pending")
    service.at(10, 2, status="completed")
    service.at(30, 1, status="completed")
    assert [task.status for task in client.wait_all(tag="x")] == ["completed", "completed"]


def test_a_task_deleted_while_waiting_is_not_waited_for(
    service: FakeService, client: Client
) -> None:
    service.add("pending", "pending", tags=["x"])
    service.at(3, 1, tags=[])
    service.at(9, 2, status="completed")
    assert [task.id for task in client.wait_all(tag="x")] == [2]


def test_a_wait_for_a_tag_is_over_when_its_time_is(service: FakeService, client: Client) -> None:
    service.add("completed", "pending", tags=["x"])
    begun = service.now
    with pytest.raises(NotFinished, match="1 of 2 tasks") as caught:
        client.wait_all(tag="x", timeout=12.5)
    assert service.now - begun == pytest.approx(12.5)
    assert [task.id for task in caught.value.unfinished] == [2]


def test_ids_or_a_tag_but_not_both(client: Client) -> None:
    with pytest.raises(ValueError, match="ids or a tag"):
        client.wait_all()
    with pytest.raises(ValueError, match="ids or a tag"):
        client.wait_all([1], tag="x")


def test_the_time_that_an_answer_is_held_back_is_not_the_clients_patience(
    service: FakeService,
) -> None:
    def held_and_lost(_: httpx.Request) -> httpx.Response:
        service.now += 20
        return problem(504, "about:blank")

    [one] = service.add("pending")
    service.at(25, one, status="completed")
    service.faults.append(held_and_lost)
    with Client("http://tasks.test/prod", timeout=5, transport=service.transport) as client:
        assert client.wait(one).succeeded
    assert service.requests[0].extensions["timeout"]["read"] > 20


def test_tasks_that_were_final_before_the_oldest_open_one_are_not_read_each_time(
    service: FakeService, client: Client
) -> None:
    service.add(*["completed"] * 240, *["pending"] * 10, tags=["x"])
    for number in range(241, 251):
        service.at(30, number, status="completed")
    assert len(client.wait_all(tag="x")) == 250
    assert len(service.requests) < 50
