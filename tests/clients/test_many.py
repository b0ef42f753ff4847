"""Creating, listing and retrying many."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks_client import Client, Forbidden, NewTask, PartlyCreated
from tasks_client.batches import MOST_BYTES, bodies
from tests.clients.fake_service import answers, loses_the_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.fake_service import FakeService


def tasks(count: int, payload: dict[str, Any] | None = None) -> Iterator[NewTask]:
    for number in range(count):
        yield NewTask(title=f"task {number}", payload=payload)


def test_many_are_created_in_order_by_as_few_requests_as_are_allowed(
    service: FakeService, client: Client
) -> None:
    created = client.create_many(tasks(2001))
    assert [task.title for task in created] == [f"task {number}" for number in range(2001)]
    assert service.asked() == ["POST /prod/tasks/batch"] * 3
    assert len(set(service.sent("Idempotency-Key"))) == 3


def test_none_are_created_by_no_request(service: FakeService, client: Client) -> None:
    assert client.create_many([]) == []
    assert service.requests == []


def test_a_batch_never_passes_five_mebibytes_and_nothing_is_left_out() -> None:
    made = list(bodies(tasks(300, payload={"x": "ü" * 30_000})))
    assert [len(body) <= MOST_BYTES for body in made] == [True] * len(made)
    assert [len(body) + 60_100 > MOST_BYTES for body in made[:-1]] == [True] * (len(made) - 1)
    titles = [task["title"] for body in made for task in json.loads(body)["tasks"]]
    assert titles == [f"task {number}" for number in range(300)]


def test_a_task_too_large_for_any_batch_goes_alone_for_the_service_to_refuse() -> None:
    large = NewTask(title="x", payload={"x": "y" * MOST_BYTES})
    made = list(bodies([NewTask(title="a"), large, NewTask(title="b")]))
    assert [len(json.loads(body)["tasks"]) for body in made] == [1, 1, 1]


def test_a_batch_whose_answer_is_lost_is_created_once(service: FakeService, client: Client) -> None:
    service.faults.append(loses_the_answer)
    assert len(client.create_many(tasks(3))) == len(service.rows) == 3


def test_what_was_created_before_a_failure_is_told_and_the_rest_can_follow(
    service: FakeService, client: Client
) -> None:
    service.faults.extend([lambda _: None, answers(403)])
    with pytest.raises(PartlyCreated, match="1000 tasks were created") as caught:
        client.create_many(tasks(1500))
    assert isinstance(caught.value.__cause__, Forbidden)
    assert [task.id for task in caught.value.created] == list(range(1, 1001))
    again = client.create_many(tasks(1500), idempotency_key=caught.value.idempotency_key)
    assert len(again) == len(service.rows) == 1500


def test_what_was_created_before_the_tasks_themselves_fail_is_told(client: Client) -> None:
    def failing() -> Iterator[NewTask]:
        yield from tasks(1001)
        raise KeyError("the file ended")

    with pytest.raises(PartlyCreated) as caught:
        client.create_many(failing())
    assert isinstance(caught.value.__cause__, KeyError)
    assert len(caught.value.created) == 1000


def test_a_first_failure_is_itself(service: FakeService, client: Client) -> None:
    service.faults.append(answers(403))
    with pytest.raises(Forbidden):
        client.create_many(tasks(5))


def test_all_that_can_be_asked_for_is_sent(service: FakeService, client: Client) -> None:
    moment = datetime(2026, 11, 25, 3, tzinfo=UTC)
    client.create("t", kind="k", payload={"a": 1}, tags=("x",), delay=2.5, expires_at=moment)
    assert json.loads(service.requests[0].content) == {
        "title": "t",
        "kind": "k",
        "payload": {"a": 1},
        "tags": ["x"],
        "delay_seconds": 2.5,
        "expires_at": "2026-11-25T03:00:00+00:00",
    }


def test_what_can_be_taken_away_is_sent_as_null(service: FakeService, client: Client) -> None:
    [one] = service.add("pending")
    client.update(one, description=None, payload=None, tags=None, run_at=None, expires_at=None)
    names = ("description", "payload", "tags", "run_at", "expires_at")
    assert json.loads(service.requests[0].content) == dict.fromkeys(names)


@pytest.mark.parametrize(
    "more",
    [
        {"payload": {"x": float("nan")}},
        {"payload": {"x": "\ud800"}},
        {"run_at": datetime(2026, 1, 1)},  # noqa: DTZ001  (that it has no offset is the point)
    ],
)
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(
    service: FakeService, client: Client, more: Any
) -> None:
    with pytest.raises(ValueError, match=r"."):
        client.create("t", **more)
    with pytest.raises(TypeError):
        client.create("t", payload={"x": object()})
    assert service.requests == []


def test_a_unique_key_finds_the_task_that_is_there(client: Client) -> None:
    first = client.create("t", unique_key="daily")
    again = client.create("t", unique_key="daily")
    assert (first.existed, again.existed) == (False, True)
    assert again.id == first.id


def test_iterating_reads_every_page_and_no_more_than_is_wanted(
    service: FakeService, client: Client
) -> None:
    service.add(*["pending"] * 250, tags=["x"])
    assert [task.id for task in client.iterate(tag="x")] == list(range(250, 0, -1))
    assert len(service.requests) == 3
    service.requests.clear()
    assert next(client.iterate()).id == 250
    assert len(service.requests) == 1


def test_a_page_that_fails_in_passing_is_read_again(service: FakeService, client: Client) -> None:
    service.add(*["pending"] * 150)
    service.faults.extend([lambda _: None, answers(503)])
    assert len(list(client.iterate())) == 150


def test_filters_are_sent_as_the_service_names_them(service: FakeService, client: Client) -> None:
    moment = datetime(2026, 11, 25, 3, tzinfo=UTC)
    page = client.list(status="failed", kind="k", text="a&b", created_after=moment, limit=5)
    assert (page.items, page.next_cursor) == ((), None)
    assert dict(service.requests[0].url.params) == {
        "status": "failed",
        "kind": "k",
        "text": "a&b",
        "created_after": "2026-11-25T03:00:00+00:00",
        "limit": "5",
    }


def test_many_are_retried_by_filter(service: FakeService, client: Client) -> None:
    service.add("failed", "failed", "completed", tags=["x"])
    first = client.retry_many(tag="x", limit=1)
    assert (first.ids, first.more) == ((1,), True)
    assert client.retry_many(tag="x", cursor=first.next_cursor).ids == (2,)
    assert json.loads(service.requests[1].content) == {"tag": "x", "cursor": "1"}
