"""How answers become tasks, and errors."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks_client import (
    Client,
    Failure,
    Forbidden,
    InvalidRequest,
    KeyReused,
    RateLimited,
    Refused,
    ServiceFailed,
    Task,
    TaskChanged,
    TaskNotFound,
    TasksError,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from tests.clients.fake_service import answers, problem

if TYPE_CHECKING:
    from tests.clients.fake_service import FakeService

TRACE = "1-5759e988-bd862e3fe1be46a994272793"


def test_a_task_is_read_whole(service: FakeService, client: Client) -> None:
    error = {"code": "exception", "class": "ValueError", "message": "no"}
    [one] = service.add(
        "failed",
        error=error,
        payload={"a": [1]},
        tags=["x"],
        finished_at="2026-11-24T02:50:48Z",
        trace_id=TRACE,
    )
    task = client.get(one)
    assert (task.id, task.status, task.tags, task.payload) == (one, "failed", ("x",), {"a": [1]})
    assert task.error == Failure(code="exception", message="no", kind="ValueError")
    assert task.finished_at == datetime(2026, 11, 24, 2, 50, 48, tzinfo=UTC)
    assert task.started_at is None
    assert task.trace_id == TRACE
    assert task.is_final
    assert not task.succeeded


def test_keys_and_statuses_of_a_newer_service_pass(service: FakeService, client: Client) -> None:
    [one] = service.add("paused", colour="red")
    task = client.get(one)
    assert task.raw["colour"] == "red"
    assert (task.status, task.is_final) == ("paused", False)


def test_what_clients_sent_is_not_in_a_repr(service: FakeService, client: Client) -> None:
    [one] = service.add("completed", title="secret", payload={"p": "secret"}, result="secret")
    shown = repr(client.get(one))
    assert "secret" not in shown
    assert f"id={one}" in shown


def test_attempts_are_read(service: FakeService, client: Client) -> None:
    tried = {"attempt": 1, "started_at": "2026-11-24T02:50:47Z", "duration": 0.25, "outcome": "x"}
    [one] = service.add("completed", tries=[{**tried, "receive_count": 2, "new": 1}])
    [attempt] = client.attempts(one)
    assert (attempt.attempt, attempt.duration, attempt.outcome) == (1, 0.25, "x")
    assert (attempt.receive_count, attempt.error, attempt.ended_at) == (2, None, None)
    assert attempt.raw["new"] == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(400, "malformed-body"), InvalidRequest),
        (problem(401, "unauthorized"), Unauthorized),
        (problem(403, "forbidden"), Forbidden),
        (problem(404, "task-not-found"), TaskNotFound),
        (problem(404, "about:blank"), Refused),
        (problem(405, "about:blank"), Refused),
        (problem(412, "task-changed"), TaskChanged),
        (problem(413, "body-too-large"), TooLarge),
        (problem(415, "unsupported-media-type"), InvalidRequest),
        (problem(422, "invalid-request"), InvalidRequest),
        (problem(422, "key-reused"), KeyReused),
        (problem(422, "unheard-of"), InvalidRequest),
        (problem(500, "service-error"), ServiceFailed),
        (problem(501, "about:blank"), ServiceFailed),
    ],
)
def test_a_problem_is_the_error_it_says(
    service: FakeService, client: Client, answer: httpx.Response, kind: type[TasksError]
) -> None:
    service.faults.append(lambda _: answer)
    with pytest.raises(TasksError) as caught:
        client.get(1)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.request_id) == (answer.status_code, "r-1")
    assert str(caught.value).startswith("It is ")


def test_an_invalid_request_names_each_rule_that_was_broken(
    service: FakeService, client: Client
) -> None:
    errors = [
        {"pointer": "#/title", "detail": "must not be blank"},
        {"parameter": "limit", "detail": "is too large"},
    ]
    service.faults.append(lambda _: problem(422, "invalid-request", errors=errors))
    with pytest.raises(InvalidRequest, match="#/title must not be blank; limit is too large") as e:
        client.list(limit=1000)
    assert e.value.errors == errors


@pytest.mark.parametrize("errors", [None, "x", [1], {"a": 1}])
def test_errors_that_are_no_list_of_rules_harm_nothing(
    service: FakeService, client: Client, errors: Any
) -> None:
    service.faults.append(lambda _: problem(422, "invalid-request", errors=errors))
    with pytest.raises(InvalidRequest, match="It is invalid-request") as caught:
        client.get(1)
    assert caught.value.errors == []


def test_the_gateways_own_words_are_shown(service: FakeService, client: Client) -> None:
    gateway = httpx.Response(403, json={"message": "Missing Authentication Token"})
    service.faults.append(lambda _: gateway)
    with pytest.raises(Forbidden, match="Missing Authentication Token"):
        client.get(1)


@pytest.mark.parametrize("content", [b"<html>", b"", b"[]", b'{"id": 1}', b"\xff", b'{"id":"x"}'])
def test_a_success_that_is_no_task_is_unexpected(
    service: FakeService, client: Client, content: bytes
) -> None:
    service.faults.append(lambda _: httpx.Response(200, content=content))
    with pytest.raises(UnexpectedAnswer):
        client.get(1)


@pytest.mark.parametrize("content", [b"<html>", b"", b"[]", b"\xff"])
def test_a_failure_that_is_no_problem_is_told_by_its_status(
    service: FakeService, client: Client, content: bytes
) -> None:
    service.faults.append(lambda _: httpx.Response(500, content=content))
    with pytest.raises(ServiceFailed, match="the answer was 500"):
        client.get(1)


def test_a_redirect_is_not_followed_with_the_key(service: FakeService, client: Client) -> None:
    elsewhere = httpx.Response(302, headers={"Location": "http://elsewhere.test/"})
    service.faults.append(lambda _: elsewhere)
    with pytest.raises(UnexpectedAnswer):
        client.get(1)
    assert [request.url.host for request in service.requests] == ["tasks.test"]


def test_an_answer_that_is_not_what_it_says_is_unexpected(
    service: FakeService, client: Client
) -> None:
    def zipped(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"this is no gzip")
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)

    service.faults.append(zipped)
    with pytest.raises(UnexpectedAnswer):
        client.get(1)


def test_errors_survive_a_way_through_another_process() -> None:
    error = RateLimited("slowly")
    error.retry_after = 3.0
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (made here)
    assert (type(again), str(again), again.retry_after) == (RateLimited, "slowly", 3.0)


def test_an_error_without_a_message_says_what_it_is() -> None:
    assert str(TaskNotFound()) == "There is no task with this id."


def test_the_key_is_sent_and_shown_nowhere(service: FakeService, client: Client) -> None:
    service.faults.extend([answers(401)])
    with pytest.raises(Unauthorized) as caught:
        client.get(1)
    assert service.sent("Authorization") == ["Bearer tk_1_secret"]
    assert "tk_1" not in f"{caught.value!r} {caught.value} {client!r} {vars(client)}"


@pytest.mark.parametrize("key", ["", "with space", "line\n", "schlüssel", "tk_1_secret\r\nX: y"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match=r"the key has characters that no key has$"):
        Client("http://tasks.test", key)


@pytest.mark.parametrize(
    "url",
    ["", "tasks.test", "ftp://tasks.test", "http://", "http://a:b@tasks.test", "http://t.test/?q"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the address must"):
        Client(url)


@pytest.mark.parametrize("url", ["http://tasks.test/prod", "http://tasks.test/prod/"])
def test_the_stage_stays_in_the_path(service: FakeService, url: str) -> None:
    service.add("pending")
    with Client(url, transport=service.transport) as client:
        assert client.get(1).id == 1
    assert service.asked() == ["GET /prod/tasks/1"]
    assert service.sent("Authorization") == [None]


def test_a_task_of_the_service_as_it_was_is_read() -> None:
    # The seven keys that every version has.
    raw = {"id": 1, "title": "t", "description": None, "status": "pending"}
    raw |= {"created_at": "2026-11-24T02:50:47.034055Z", "updated_at": None, "result": None}
    task = Task.of(raw)
    assert (task.id, task.tags, task.error, task.run_at) == (1, (), None, None)


def test_nobody_listening_is_unreachable() -> None:
    with (
        Client("http://127.0.0.1:1", timeout=0.2) as client,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:1") as caught,
    ):
        client.get(1)
    assert not caught.value.in_doubt
    assert caught.value.status is None
