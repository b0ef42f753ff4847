"""A tenant's limits are exact, say when to come back, and cost nothing where there are none."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.access import identify
from chalicelib.errors import TooManyRequests
from chalicelib.schemas import NewTask
from chalicelib.service import TaskService
from chalicelib.store import ClientStore
from tests.fakes import Recorder
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from collections.abc import Callable

TOO_MANY = "urn:problem-type:tasks:too-many-requests"
SLOW = 0.1  # tasks a second: none comes by itself while a test runs


@pytest.fixture
def limited(api_of: Callable[..., Api]) -> Callable[..., Callable[..., Any]]:
    """Make the app with limits; what is returned posts so many tasks and gives the response."""

    def make(**limits: Any) -> Callable[..., Any]:
        api = api_of(auth="keys", database_connections=16, database_patience=30, **limits)
        headers = bearer(api.key())

        def post(many: int = 1, **more: str) -> Any:
            tasks = {"tasks": [{"title": "x"}] * many}
            return api.call(
                "POST", "/tasks/batch", tasks, Content_Type="application/json", **headers, **more
            )

        post.api = api  # type: ignore[attr-defined]
        return post

    return make


def refused(response: Any) -> int:
    """Return the seconds after which to come back."""
    content = problem(response, 429)
    assert content["type"] == TOO_MANY
    return int(response.headers["Retry-After"])


def let_pass(post: Any, seconds: float) -> None:
    """Let so much time pass for the allowances."""
    post.api.table.run(
        "update tenant_allowances set filled_at = filled_at - make_interval(secs => %s)", [seconds]
    )


def test_above_the_rate_a_request_is_refused_and_says_when_to_come_back(
    limited: Callable[..., Any],
) -> None:
    post = limited(rate_limit=SLOW, rate_burst=1)
    assert post().status_code == 201
    assert refused(post()) == 10
    assert "At most 0.1 tasks may be created a second." in problem(post(), 429)["detail"]
    assert post.api.table.count() == 1


def test_a_client_that_waits_as_long_as_it_was_told_is_let_in(limited: Callable[..., Any]) -> None:
    post = limited(rate_limit=SLOW, rate_burst=1)
    post()
    wait = refused(post())
    let_pass(post, wait - 1.5)
    assert 1 <= refused(post()) <= 2
    let_pass(post, 1.5)
    assert post().status_code == 201
    assert refused(post()) == wait


def test_a_pause_fills_the_allowance_up_to_the_burst_and_no_further(
    limited: Callable[..., Any],
) -> None:
    post = limited(rate_limit=1, rate_burst=3)
    assert post(3).status_code == 201
    let_pass(post, 3600)
    statuses = [post().status_code for _ in range(4)]
    assert statuses == [201, 201, 201, 429]


@pytest.mark.parametrize("before", [0, 1])
def test_a_batch_is_let_in_on_one_token_and_paid_for_afterwards(
    limited: Callable[..., Any], before: int
) -> None:
    """Else a batch larger than the burst could never be created."""
    post = limited(rate_limit=SLOW, rate_burst=5)
    for _ in range(before):
        assert post().status_code == 201
    assert post(100).status_code == 201
    missing = 100 + before - 5 + 1
    assert refused(post()) == pytest.approx(missing / SLOW, abs=1)


def test_of_fifty_requests_at_once_as_many_are_let_in_as_the_rate_allows(
    limited: Callable[..., Any],
) -> None:
    post = limited(rate_limit=0.001, rate_burst=20)
    runtime, header = post.api.runtime, bearer(post.api.key())["Authorization"]
    together = threading.Barrier(50)

    def create(_: int) -> bool:
        together.wait(10)
        try:
            runtime.serve(header).create(NewTask(title="x"))
        except TooManyRequests:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(create, range(50)))
    assert made.count(True) == post.api.table.count() == 20


def test_a_repeated_request_is_answered_though_the_allowance_is_used_up(
    limited: Callable[..., Any],
) -> None:
    post = limited(rate_limit=SLOW, rate_burst=1, open_limit=1)
    first = post(Idempotency_Key='"k"')
    again = post(Idempotency_Key='"k"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(again.body)["items"][0]["id"] == json.loads(first.body)["items"][0]["id"]
    assert refused(post()) > 0


def test_a_request_that_is_sent_twice_at_once_is_counted_once(limited: Callable[..., Any]) -> None:
    post = limited(rate_limit=0.001, rate_burst=1)
    runtime, header = post.api.runtime, bearer(post.api.key())["Authorization"]

    def create(desk: TaskService) -> int:
        return desk.create(NewTask(title="x"), key="k").task.id

    with ThreadPoolExecutor(1) as pool:
        with runtime.database.transaction() as transaction:
            store = ClientStore(transaction.query, runtime.settings, identify(header))
            first = create(TaskService(store, runtime.post, runtime._registry))
            second = pool.submit(create, runtime.serve(header))
            until_somebody_waits(post.api)
        assert second.result() == first


def until_somebody_waits(api: Api) -> None:
    """Wait until a statement of this database waits for the end of another."""
    waiting = """
        select pid from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'
    """
    deadline = time.monotonic() + 10
    while not api.table.run(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_refused_request_uses_up_nothing_and_may_be_sent_again(
    limited: Callable[..., Any],
) -> None:
    post = limited(rate_limit=SLOW, rate_burst=1)
    post()
    waits = [refused(post(Idempotency_Key='"k"')) for _ in range(5)]
    assert max(waits) == 10
    let_pass(post, 10)
    assert post(Idempotency_Key='"k"').status_code == 201


@pytest.mark.parametrize("status", ["pending", "processing", "retrying"])
def test_above_the_limit_of_open_tasks_a_request_is_refused_until_one_has_ended(
    limited: Callable[..., Any], status: str
) -> None:
    post = limited(open_limit=3)
    number = post.api.table.arrange(status, tenant="acme")
    assert refused(post(3)) == 10
    assert post(2).status_code == 201
    assert refused(post()) == 10
    assert "At most 3 tasks may be open." in problem(post(), 429)["detail"]
    post.api.table.run("delete from tasks where id = %s", [number])
    assert post().status_code == 201


def test_a_batch_larger_than_the_limit_of_open_tasks_is_told_that_it_never_can_be_taken(
    limited: Callable[..., Any],
) -> None:
    post = limited(open_limit=3)
    [error] = problem(post(4), 422)["errors"]
    assert error == {"pointer": "#/tasks", "detail": "has 4 tasks; at most 3 may be open"}
    assert post.api.table.count() == 0


def test_a_batch_that_was_taken_is_answered_again_though_the_limit_is_lower_now(
    limited: Callable[..., Any],
) -> None:
    post = limited()
    assert post(4, Idempotency_Key='"k"').status_code == 201
    runtime = post.api.runtime
    runtime.settings = runtime.settings.model_copy(update={"open_limit": 3})
    assert post(4, Idempotency_Key='"k"').status_code == 201


def test_finished_tasks_are_not_open(limited: Callable[..., Any]) -> None:
    post = limited(open_limit=1)
    for status in ("completed", "failed", "cancelled"):
        post.api.table.arrange(status, tenant="acme")
    assert post().status_code == 201


@pytest.mark.parametrize(
    ("limits", "kept"), [({}, 0), ({"open_limit": 100}, 0), ({"rate_limit": 100}, 1)]
)
def test_a_limit_costs_no_statement_and_where_there_is_none_no_row(
    limited: Callable[..., Any],
    limits: dict[str, Any],
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    post = limited(**limits)
    query = Recorder(post.api.runtime.database.query)
    monkeypatch.setattr(post.api.runtime, "_query", query)
    assert post().status_code == 201
    assert query.names == ["insert_tasks"]
    [row] = post.api.table.run("select count(*) as rows from tenant_allowances")
    assert row["rows"] == kept
