"""Looking at a task cheaply, and waiting for it to finish or to change."""

from __future__ import annotations

import json
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.errors import StoreUnavailable
from chalicelib.outcome import Completed
from chalicelib.queue import Message
from chalicelib.service import waiting
from chalicelib.store import Settlement
from chalicelib.web import headers
from tests.fakes import FakeContext
from tests.integration.api import Api, problem
from tests.world import OTHER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalice.test import HTTPResponse

HOUR = 60 * 60


@pytest.fixture
def api(api_of: Callable[..., Api]) -> Api:
    return api_of(database_connections=4)


def shown(response: HTTPResponse, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.body
    return dict(json.loads(response.body))


def finish(api: Api, number: int) -> None:
    """End the attempt of a task that Table.arrange left in processing."""
    done = Settlement(id=number, outcome=Completed('"done"'), unsent=False)
    api.runtime.store.settle_attempts([done], token=OTHER_TOKEN)


class Soon:
    """Does something a little later; ``at`` is when it had been done."""

    def __init__(self, seconds: float, action: Callable[[], object]) -> None:
        self.at = 0.0
        self._action = action
        self._timer = threading.Timer(seconds, self._act)
        self._timer.start()

    def _act(self) -> None:
        self._action()
        self.at = time.monotonic()

    def join(self) -> None:
        self._timer.join()


# Entity tags


@pytest.mark.parametrize("status", ["pending", "processing", "completed"])
def test_a_task_that_the_client_knows_is_not_sent_again(api: Api, status: str) -> None:
    number = api.table.arrange(status)
    first = api.get(f"/tasks/{number}")
    tag = str(first.headers["ETag"])
    again = api.get(f"/tasks/{number}", If_None_Match=tag)
    assert (again.status_code, again.body) == (304, b"")
    for name in ("ETag", "Cache-Control", "Retry-After"):
        assert again.headers.get(name) == first.headers.get(name)


@pytest.mark.parametrize("header", ["{}", "W/{}", '"1", {}', '"1",W/{} , "2"', "*", " * "])
def test_one_of_several_tags_will_do_and_a_star_stands_for_all(api: Api, header: str) -> None:
    number = api.table.arrange("completed")
    tag = str(api.get(f"/tasks/{number}").headers["ETag"])
    response = api.get(f"/tasks/{number}", If_None_Match=header.replace("{}", tag))
    assert response.status_code == 304


@pytest.mark.parametrize("header", ["", '"1"', "garbage", '"', f'"{"f" * 14}"'])
def test_tags_of_other_versions_or_none_at_all_show_the_task(api: Api, header: str) -> None:
    number = api.table.arrange("completed")
    assert api.get(f"/tasks/{number}", If_None_Match=header).status_code == 200


def test_whatever_a_client_can_see_change_changes_the_tag(api: Api) -> None:
    number = shown(api.post({"title": "x"}), 201)["id"]
    tags = [api.get(f"/tasks/{number}").headers["ETag"]]
    desk = api.runtime.serve(None)

    def look() -> None:
        tags.append(api.get(f"/tasks/{number}").headers["ETag"])

    api.call("PATCH", f"/tasks/{number}", {"tags": ["a"]}, Content_Type="application/json")
    look()
    desk.cancel(number)
    look()
    desk.retry(number)
    look()
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    look()
    assert len(set(tags)) == len(tags) == 5


def test_a_new_task_has_the_tag_that_it_is_then_found_with(api: Api) -> None:
    response = api.post({"title": "x"})
    number = shown(response, 201)["id"]
    assert response.headers["ETag"] == api.get(f"/tasks/{number}").headers["ETag"]


# What else is said of a task


@pytest.mark.parametrize(
    ("delay", "seconds"), [(0, 1), (0.4, 1), (90, 90), (HOUR, HOUR), (5 * HOUR, HOUR)]
)
def test_a_client_is_told_when_to_come_back(api: Api, delay: float, seconds: int) -> None:
    response = api.post({"title": "x", "delay_seconds": delay})
    number = shown(response, 201)["id"]
    for answer in (response, api.get(f"/tasks/{number}")):
        assert seconds - 2 <= int(str(answer.headers["Retry-After"])) <= seconds


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("pending", True),
        ("processing", True),
        ("retrying", True),
        ("completed", False),
        ("failed", False),
        ("cancelled", False),
    ],
)
def test_a_finished_task_is_not_worth_coming_back_for(api: Api, status: str, told: bool) -> None:  # noqa: FBT001
    response = api.get(f"/tasks/{api.table.arrange(status)}")
    assert ("Retry-After" in response.headers) == told
    assert response.headers["Cache-Control"] == "private, no-cache"


def test_only_a_single_task_may_be_kept_by_a_cache(api: Api) -> None:
    number = api.table.arrange("completed")
    for path in ("/tasks", f"/tasks/{number}/attempts", "/tasks/4711"):
        assert api.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("prefix", ["", "/prod", "/v1/jobs"])
@pytest.mark.parametrize(
    ("status", "moves"),
    [
        ("pending", {"cancel"}),
        ("processing", {"cancel"}),
        ("retrying", {"cancel"}),
        ("completed", set()),
        ("failed", {"retry"}),
        ("cancelled", {"retry"}),
    ],
)
def test_a_task_links_to_what_can_be_done_with_it_below_the_stages_prefix(
    api: Api, monkeypatch: pytest.MonkeyPatch, prefix: str, status: str, moves: set[str]
) -> None:
    number = api.table.arrange(status)
    _serve_below(monkeypatch, prefix)
    here = f"{prefix}/tasks/{number}"
    links = {"self": here, "attempts": f"{here}/attempts"}
    links |= {move: f"{here}/{move}" for move in moves}
    assert shown(api.get(f"/tasks/{number}"))["links"] == links
    assert shown(api.get("/tasks"))["items"][0]["links"] == links


@pytest.mark.parametrize("prefix", ["", "/prod"])
def test_every_address_in_a_header_is_below_the_stages_prefix(
    api: Api, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    for _ in range(2):
        api.table.arrange("pending")
    _serve_below(monkeypatch, prefix)
    made = api.post({"title": "x"})
    assert made.headers["Location"] == f"{prefix}/tasks/{shown(made, 201)['id']}"
    batch = {"tasks": [{"title": "x"}]}
    many = api.call("POST", "/tasks/batch", batch, Content_Type="application/json")
    [item] = shown(many, 201)["items"]
    assert item["links"]["self"] == f"{prefix}/tasks/{item['id']}"
    assert str(api.get("/tasks?limit=1").headers["Link"]).startswith(f"<{prefix}/tasks?limit=1&")
    assert problem(api.get("/tasks/4711"), 404)["instance"] == f"{prefix}/tasks/4711"
    moved = api.call("POST", f"/tasks/{item['id']}/cancel")
    assert shown(moved)["links"]["retry"] == f"{prefix}/tasks/{item['id']}/retry"


def _serve_below(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """Let requests tell of a stage as API Gateway does, which the local server cannot."""
    from chalice.app import Request

    made = Request.__init__

    def init(self: Request, event: dict[str, Any], *rest: Any) -> None:
        made(self, event, *rest)
        self.context = self.context | {"path": prefix + self.context["path"]}

    monkeypatch.setattr(Request, "__init__", init)


# Waiting


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("wait=0", 0),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("wait=5, respond-async", 5),
        ("wait=5;x=y", 5),
        ("return=minimal,wait=5", 5),
        ("wait=5, wait=9", 5),  # the first one counts
        ("wait=20", 20),
        ("wait=21", headers.LONGEST_WAIT),
        ("wait=" + "9" * 30, headers.LONGEST_WAIT),
        ("wait", 0),
        ("wait=", 0),
        ("wait=-5", 0),
        ("wait=5.5", 0),
        ("wait=soon", 0),
        ("await=5", 0),
        ("wait=\u0665", 0),
        ('foo="x, wait=1"', 0),
        ('foo="x, wait=1', 0),
        (r'foo="x\", wait=1"', 0),
        ('wait="5, wait=6"', 0),
        ('foo="x, wait=1", wait=5', 5),
        ('foo; a="b, wait=1", wait=5; c="d, wait=2"', 5),
        ("", 0),
    ],
)
def test_a_preference_is_read_as_its_rfc_says_and_one_not_understood_is_none(
    header: str, seconds: float
) -> None:
    assert headers.wait(header) == seconds


def test_a_wait_ends_soon_after_the_task(api: Api) -> None:
    """The time of each answer after its task is measured; none is much above the longest pause."""
    late = []
    for _ in range(9):
        number = api.table.arrange("processing")
        ending = Soon(0.15, lambda number=number: finish(api, number))  # type: ignore[misc]
        response = api.get(f"/tasks/{number}", Prefer="wait=10")
        answered = time.monotonic()
        ending.join()
        assert shown(response)["status"] == "completed"
        assert response.headers["Preference-Applied"] == "wait=10"
        late.append(answered - ending.at)
    assert statistics.median(late) < 0.1, late


def test_no_pause_between_two_looks_is_longer_than_the_promise_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a measurement on a busy machine cannot hold: 100 ms, less the look itself."""
    clock = Clock(monkeypatch)
    waiting.wait_until(lambda _found: False, lambda: None, 20)  # type: ignore[arg-type, return-value]
    assert max(clock.slept) <= 0.08
    assert sum(clock.slept) == pytest.approx(20)
    assert clock.slept[0] == 0.01
    assert len(clock.slept) < 300  # each is a statement


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr("chalicelib.service.waiting.time.monotonic", lambda: self.now)
        monkeypatch.setattr("chalicelib.service.waiting.time.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Waits take no time."""
    with monkeypatch.context() as patch:
        yield Clock(patch)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_finished_task_is_not_waited_for(api: Api, clock: Clock, status: str) -> None:
    number = api.table.arrange(status)
    assert shown(api.get(f"/tasks/{number}", Prefer="wait=20"))["status"] == status
    assert clock.slept == []


@pytest.mark.parametrize(("asked", "waited"), [("wait=3", 3), ("wait=500", 20)])
def test_a_wait_is_bounded_and_shows_the_task_as_it_is(
    api: Api, clock: Clock, asked: str, waited: float
) -> None:
    number = api.table.arrange("pending")
    response = api.get(f"/tasks/{number}", Prefer=asked)
    assert shown(response)["status"] == "pending"
    assert response.headers["Preference-Applied"] == f"wait={waited}"
    assert clock.now == pytest.approx(waited)


@pytest.mark.parametrize("prefer", ["", "wait=0", "respond-async"])
def test_nobody_waits_who_did_not_ask(api: Api, clock: Clock, prefer: str) -> None:
    number = api.table.arrange("pending")
    response = api.get(f"/tasks/{number}", Prefer=prefer)
    assert "Preference-Applied" not in response.headers
    assert clock.slept == []


def test_a_wait_with_a_known_version_ends_with_the_first_change(api: Api) -> None:
    number = api.table.arrange("pending")
    tag = str(api.get(f"/tasks/{number}").headers["ETag"])
    message = Message(
        id="m", receipt="r", task_id=number, receive_count=1, trace_id=None, body="{}"
    )
    begun = Soon(
        0.15,
        lambda: api.runtime.store.claim_tasks(
            [message], token=OTHER_TOKEN, lease=60, request_id="q"
        ),
    )
    response = api.get(f"/tasks/{number}", Prefer="wait=10", If_None_Match=tag)
    begun.join()
    assert shown(response)["status"] == "processing"


def test_a_wait_with_a_known_version_that_does_not_change_is_a_304(api: Api, clock: Clock) -> None:
    number = api.table.arrange("pending")
    tag = str(api.get(f"/tasks/{number}").headers["ETag"])
    response = api.get(f"/tasks/{number}", Prefer="wait=2", If_None_Match=tag)
    assert response.status_code == 304
    assert clock.now == pytest.approx(2)


def test_a_wait_with_an_old_version_ends_at_once(api: Api, clock: Clock) -> None:
    number = api.table.arrange("pending")
    response = api.get(f"/tasks/{number}", Prefer="wait=20", If_None_Match='"1"')
    assert shown(response)["status"] == "pending"
    assert clock.slept == []


@pytest.mark.parametrize("header", ['"nonsense"', "nonsense", 'W/"x"', '""'])
def test_a_wait_with_a_tag_that_no_version_has_ends_at_once(
    api: Api, clock: Clock, header: str
) -> None:
    number = api.table.arrange("pending")
    response = api.get(f"/tasks/{number}", Prefer="wait=20", If_None_Match=header)
    assert shown(response)["status"] == "pending"
    assert clock.slept == []


def test_a_task_that_is_not_there_is_not_waited_for(api: Api, clock: Clock) -> None:
    problem(api.get("/tasks/4711", Prefer="wait=20"), 404)
    assert clock.slept == []


def test_a_post_can_wait_for_the_result(api: Api) -> None:
    working = Soon(0, lambda: _work_when_sent(api))
    response = api.post({"title": "x"}, Prefer="wait=10")
    working.join()
    content = shown(response, 201)
    assert content["status"] == "completed"
    assert content["result"].startswith("Processed task 'x'")
    assert response.headers["Preference-Applied"] == "wait=10"
    assert response.headers["Location"] == f"/tasks/{content['id']}"


def _work_when_sent(api: Api) -> None:
    deadline = time.monotonic() + 10
    while not (records := api.queue.receive()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    front_door.work({"Records": records}, FakeContext())


def test_a_post_that_waited_in_vain_is_answered_with_the_waiting_task(
    api: Api, clock: Clock
) -> None:
    response = api.post({"title": "x"}, Prefer="wait=2")
    assert shown(response, 201)["status"] == "pending"
    assert clock.now == pytest.approx(2)


@pytest.mark.parametrize("broken", ["down", "gone"])
def test_a_task_was_created_whatever_its_wait_meets(
    api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    query = api.runtime.database.query

    def fail(name: str, /, **arguments: Any) -> Any:
        if name == "get_task" and broken == "down":
            raise StoreUnavailable
        if name == "get_task":
            api.table.run("delete from tasks")
        return query(name, **arguments)

    monkeypatch.setattr(api.runtime, "_query", fail)
    response = api.post({"title": "x"}, Prefer="wait=2")
    assert shown(response, 201)["status"] == "pending"
    assert "Preference-Applied" not in response.headers
    assert clock.slept == []


def test_a_wait_is_counted_from_the_beginning_of_its_request(
    api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API Gateway gives up after 29 seconds, and a slow database may take its share before."""
    query = api.runtime.database.query

    def slow(name: str, /, **arguments: Any) -> Any:
        clock.now += 4 if name == "insert_tasks" else 0
        return query(name, **arguments)

    monkeypatch.setattr(api.runtime, "_query", slow)
    response = api.post({"title": "x"}, Prefer="wait=20")
    assert shown(response, 201)["status"] == "pending"
    assert response.headers["Preference-Applied"] == "wait=20"
    assert clock.now == pytest.approx(20)
