"""What a handler may do in its attempt, on the real database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import InvalidPolicy, InvalidRequest, RetryLater, StoreUnavailable
from chalicelib.registry import Backoff, Registry
from chalicelib.schemas import NewTask, RetryMany
from chalicelib.worker.powers import Powers
from tests.world import OTHER_TOKEN, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.registry import Context
    from chalicelib.task import Task


@pytest.fixture
def ledger(world: World) -> Iterator[World]:
    """A world with a table of a handler's own."""
    world.table.run("create table ledger (entry text unique)")
    yield world
    world.table.run("drop table ledger")


def entries(world: World) -> list[str]:
    return [row["entry"] for row in world.table.run("select entry from ledger order by entry")]


def test_a_kind_has_attempts_of_its_own_from_the_start_and_when_tried_again(world: World) -> None:
    @world.registry.handler("dear", attempts=7)
    def dear(task: Task, context: Context) -> None:
        raise NotImplementedError

    made = world.service.create(NewTask(title="a", kind="dear")).task
    usual = world.service.create(NewTask(title="a")).task
    assert (made.attempt_limit, usual.attempt_limit) == (7, 3)
    for number in (made.id, usual.id):
        world.service.cancel(number)
    assert world.service.retry(made.id).attempt_limit == 7
    world.service.cancel(made.id)
    assert world.service.retry_many(RetryMany(status="cancelled")).ids == [made.id, usual.id]
    assert [world.table.row(n)["attempt_limit"] for n in (made.id, usual.id)] == [7, 3]


def test_a_replayed_request_is_the_same_when_its_kind_was_given_other_attempts(
    world: World,
) -> None:
    new = NewTask(title="a", kind="dear")
    world.registry.handler("dear", attempts=7)(lambda _task, _context: None)
    first = world.service.create(new, key="k")
    later = world.registry._policies
    world.registry._policies = {}
    assert world.service.create(new, key="k").task.id == first.task.id
    world.registry._policies = later


def test_a_kind_has_a_time_limit_of_its_own(world: World) -> None:
    @world.registry.handler("quick", timeout=0.2)
    def quick(task: Task, context: Context) -> None:  # noqa: ARG001
        assert 0 < context.remaining() <= 0.2
        time.sleep(20)

    number = world.task(kind="quick")
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("retrying", "timeout")
    assert row["error"]["message"].startswith("The handler was interrupted after 0.")


def test_a_time_limit_that_no_invocation_has_room_for_is_refused() -> None:
    registry = Registry()
    registry.handler("slow", timeout=55)(lambda _task, _context: None)
    registry.check(55)
    with pytest.raises(InvalidPolicy, match=r"'slow' may take 55 s, .* has 54 s .*WORKER_TIMEOUT"):
        registry.check(54)


@pytest.mark.parametrize(
    "policy",
    [
        {"attempts": 0},
        {"attempts": 101},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"backoff": Backoff(base=-1, longest=5)},
        {"backoff": Backoff(base=6, longest=5)},
        {"backoff": Backoff(base=6, longest=float("inf"))},
    ],
)
def test_a_policy_that_cannot_be_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicy, match=f"^{next(iter(policy))}"):
        Registry().handler("a", **policy)


def test_a_kind_waits_as_its_own_backoff_says(world: World) -> None:
    @world.registry.handler("hasty", backoff=Backoff(base=2, longest=9))
    def hasty(task: Task, context: Context) -> None:  # noqa: ARG001
        raise KeyError

    world.task(kind="hasty")
    world.deliver()
    [message] = world.queue.stored
    assert message.visible_at == pytest.approx(2, abs=1)


def test_a_handler_knows_its_attempt_and_whose_task_it_works(world: World) -> None:
    known = []

    @world.registry.handler("curious")
    def curious(task: Task, context: Context) -> None:  # noqa: ARG001
        known.append((context.attempt, context.tenant, context.log.name))
        raise RetryLater(seconds=0)

    world.task(kind="curious", tenant="acme", release_count=2, attempt=2, attempt_limit=5)
    world.deliver()
    world.deliver()
    assert known == [(1, "acme", "handlers.curious"), (2, "acme", "handlers.curious")]


def test_progress_is_seen_at_once_and_renews_the_lease(world: World) -> None:
    views = []

    @world.registry.handler("long")
    def long(task: Task, context: Context) -> None:
        world.table.update(task.id, lease_until=world.table.at(1))
        context.progress(12.345, "half of a quarter")
        views.append(world.service.get(task.id))
        assert world.table.row(task.id)["lease_until"] > world.table.at(60)
        context.progress(100, "x" * 201)

    number = world.task(kind="long")
    before = world.service.get(number)
    assert before.progress is None
    world.deliver()
    assert views[0].progress is not None
    assert views[0].progress.model_dump() == {"percent": 12.35, "note": "half of a quarter"}
    assert views[0].version > before.version
    assert world.table.row(number)["progress"] == {"percent": 100, "note": "x" * 200}


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan")])
def test_a_progress_that_cannot_be_is_the_handlers_mistake(world: World, percent: float) -> None:
    @world.registry.handler("long")
    def long(task: Task, context: Context) -> None:  # noqa: ARG001
        context.progress(percent)

    number = world.task(kind="long")
    world.deliver()
    assert world.table.row(number)["error"]["class"] == "ValueError"


def test_progress_tells_of_a_cancel_and_goes_with_a_retry_by_hand(world: World) -> None:
    @world.registry.handler("long")
    def long(task: Task, context: Context) -> None:
        context.progress(10)
        world.service.cancel(task.id)
        context.progress(20)

    number = world.task(kind="long")
    world.deliver()
    assert world.table.status(number) == "cancelled"
    assert world.table.row(number)["progress"]["percent"] == 10
    assert world.service.retry(number).progress is None


def test_a_step_is_made_once_and_its_value_is_what_later_attempts_find(world: World) -> None:
    made: list[str] = []

    @world.registry.handler("steps")
    def steps(task: Task, context: Context) -> Any:  # noqa: ARG001
        def charge() -> Any:
            made.append("charge")
            return {"receipt": (1, 2)}

        receipt = context.step("charge", charge)
        assert context.step("charge", charge) == receipt
        if context.attempt == 1:
            raise RetryLater(seconds=0)
        return receipt

    number = world.task(kind="steps")
    world.deliver()
    assert world.table.row(number)["steps"] == {"charge": {"receipt": [1, 2]}}
    world.deliver()
    row = world.table.row(number)
    assert (row["result"], row["steps"]) == ({"receipt": [1, 2]}, None)
    assert made == ["charge"]


def test_a_step_that_raises_is_made_again(world: World) -> None:
    tries = []

    def fails_once() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise RetryLater(seconds=0)
        return len(tries)

    world.registry.handler("steps")(lambda _task, context: context.step("a", fails_once))
    number = world.task(kind="steps")
    world.deliver()
    world.deliver()
    assert world.table.row(number)["result"] == 2


def test_a_step_whose_attempt_is_fenced_stops_and_is_not_kept(world: World) -> None:
    @world.registry.handler("steps")
    def steps(task: Task, context: Context) -> None:
        world.table.update(task.id, lease_token=OTHER_TOKEN)
        context.step("a", lambda: 1)
        pytest.fail("it went on")

    number = world.task(kind="steps")
    world.deliver()
    assert world.table.row(number)["steps"] is None


@pytest.mark.parametrize(
    ("value", "why"), [(object(), "is not JSON"), ("x" * 300_000, "takes 300,002 bytes")]
)
def test_a_step_whose_value_cannot_be_kept_is_not_made_again(
    world: World, value: object, why: str
) -> None:
    charges = []

    def charge() -> object:
        charges.append(1)
        return value

    world.registry.handler("steps")(lambda _task, context: context.step("charge", charge))
    number = world.task(kind="steps")
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], len(charges)) == ("failed", 1)
    assert row["error"]["message"].startswith(f"The value of the step 'charge' {why}")


def test_a_step_whose_name_cannot_be_kept_is_not_made(world: World) -> None:
    charges: list[int] = []
    world.registry.handler("steps")(
        lambda _task, context: context.step("a\0", lambda: charges.append(1))
    )
    number = world.task(kind="steps")
    world.deliver()
    assert (world.table.row(number)["error"]["code"], charges) == ("permanent", [])


def test_steps_that_grow_too_large_are_a_permanent_failure_that_says_so(world: World) -> None:
    @world.registry.handler("steps")
    def steps(task: Task, context: Context) -> None:  # noqa: ARG001
        context.step("a", lambda: "x" * 200_000)
        context.step("b", lambda: "x" * 100_000)

    number = world.task(kind="steps")
    world.deliver()
    error = world.table.row(number)["error"]
    assert error["code"] == "permanent"
    assert "at most 262,144 are kept" in error["message"]


def test_what_follows_a_task_is_stored_with_its_completion_and_sent(world: World) -> None:
    seen = []
    world.registry.handler("dear", attempts=7)(lambda _task, _context: None)

    @world.registry.handler("first")
    def first(task: Task, context: Context) -> str:  # noqa: ARG001
        context.enqueue("now", kind="dear", payload={"a": 1}, tags=["x"])
        context.enqueue("later", delay_seconds=3600)
        seen.append(world.table.count())
        return "done"

    number = world.task(kind="first", tenant="acme")
    world.deliver()
    assert seen == [1]
    now, later = world.table.run("select * from tasks where id <> %s order by id", [number])
    assert (now["title"], now["kind"], now["payload"], now["tags"]) == (
        "now",
        "dear",
        {"a": 1},
        ["x"],
    )
    assert (now["tenant"], now["attempt_limit"]) == ("acme", 7)
    assert later["run_at"] > world.table.at(3500)
    assert [letter.id for letter in world.queue.sent] == [now["id"]]
    assert world.table.row(number)["result"] == "done"


@pytest.mark.parametrize("end", ["raises", "fenced"])
def test_nothing_follows_an_attempt_that_did_not_complete(world: World, end: str) -> None:
    @world.registry.handler("first")
    def first(task: Task, context: Context) -> None:
        context.enqueue("never")
        if end == "raises":
            raise KeyError
        world.table.update(task.id, lease_token=OTHER_TOKEN)

    world.task(kind="first")
    world.deliver()
    assert world.table.count() == 1
    assert world.queue.sent == []


def test_a_follow_up_that_a_request_would_be_refused_for_is_told_to_the_handler(
    world: World,
) -> None:
    refused = []

    @world.registry.handler("first")
    def first(task: Task, context: Context) -> None:  # noqa: ARG001
        no_json = {"payload": {"a": object()}}
        callback = {"callback_url": "https://10.0.0.1/"}
        wrongs = ({"kind": "unheard"}, {"delay_seconds": -1}, {"colour": "red"}, no_json, callback)
        for wrong in wrongs:
            with pytest.raises(InvalidRequest) as caught:
                context.enqueue("a", **wrong)
            refused.append(str(caught.value))

    number = world.task(kind="first")
    world.deliver()
    assert world.table.status(number) == "completed"
    assert refused[0] == "#/kind is unknown; there are: default, first."
    assert refused[3].startswith("The task is not JSON")
    assert refused[4].startswith("#/callback_url cannot be taken")


def test_follow_ups_whose_message_is_refused_are_left_to_the_sweeper(world: World) -> None:
    world.registry.handler("first")(lambda _task, context: context.enqueue("next"))
    world.task(kind="first")
    records = world.queue.receive()
    world.queue.away = True
    world.work(records)
    [following] = world.table.run("select id from tasks where kind = 'default'")
    assert world.table.unsent() == {following["id"]}


def test_a_transaction_commits_with_the_completion_and_not_before(ledger: World) -> None:
    seen = []

    @ledger.registry.handler("exact")
    def exact(task: Task, context: Context) -> int:  # noqa: ARG001
        transaction = context.transaction()
        rows = transaction.execute(
            "insert into ledger values (%(entry)s) returning entry", entry="100 %"
        )
        assert rows == [{"entry": "100 %"}]
        assert context.transaction() is transaction
        context.heartbeat()
        seen.append(entries(ledger))
        return 1

    number = ledger.task(kind="exact")
    ledger.deliver()
    assert seen == [[]]
    assert entries(ledger) == ["100 %"]
    assert ledger.table.status(number) == "completed"


@pytest.mark.parametrize("end", ["raises", "fenced", "result"])
def test_a_transaction_of_an_attempt_that_did_not_complete_is_undone(
    ledger: World, end: str
) -> None:
    @ledger.registry.handler("exact")
    def exact(task: Task, context: Context) -> Any:
        context.transaction().execute("insert into ledger values ('a')")
        if end == "raises":
            raise RetryLater(seconds=0)
        if end == "fenced":
            ledger.table.update(task.id, lease_token=OTHER_TOKEN)
        return float("nan") if end == "result" else 1

    number = ledger.task(kind="exact")
    ledger.deliver()
    assert entries(ledger) == []
    assert ledger.table.status(number) == {"raises": "retrying", "fenced": "processing"}.get(
        end, "failed"
    )
    assert len(ledger.database._idle) <= 2  # it went back to the pool


def test_a_statement_that_failed_in_the_transaction_fails_the_attempt_even_if_it_was_swallowed(
    ledger: World,
) -> None:
    ledger.table.run("insert into ledger values ('a')")

    @ledger.registry.handler("exact")
    def exact(task: Task, context: Context) -> int:  # noqa: ARG001
        for entry in ("b", "a"):
            try:
                context.transaction().execute("insert into ledger values (%(e)s)", e=entry)
            except Exception:  # noqa: BLE001  (as people write it)
                context.log.info("swallowed")
        return 1

    number = ledger.task(kind="exact")
    ledger.deliver()
    row = ledger.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("retrying", "exception")
    assert entries(ledger) == ["a"]


def test_a_connection_that_breaks_before_the_commit_costs_the_attempt_and_nothing_else(
    ledger: World,
) -> None:
    neighbour = ledger.task()

    @ledger.registry.handler("exact")
    def exact(task: Task, context: Context) -> int:  # noqa: ARG001
        transaction = context.transaction()
        transaction.execute("insert into ledger values ('a')")
        [me] = transaction.execute("select pg_backend_pid() as pid")
        ledger.table.run("select pg_terminate_backend(%s, 1000)", [me["pid"]])
        return 1

    number = ledger.task(kind="exact")
    ledger.deliver()
    assert ledger.table.status(number) == "retrying"
    assert ledger.table.status(neighbour) == "completed"
    assert entries(ledger) == []


def test_what_was_committed_without_a_reply_is_known_as_completed(
    ledger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Powers.commit

    def lost(powers: Powers) -> None:
        commit(powers)
        raise StoreUnavailable

    monkeypatch.setattr(Powers, "commit", lost)

    @ledger.registry.handler("exact")
    def exact(task: Task, context: Context) -> int:  # noqa: ARG001
        context.transaction().execute("insert into ledger values ('a')")
        return 1

    number = ledger.task(kind="exact")
    ledger.deliver()
    assert ledger.table.status(number) == "completed"
    assert entries(ledger) == ["a"]
    assert ledger.queue.stored == []


def test_a_task_without_effects_costs_no_statement_more(world: World) -> None:
    world.task()
    world.deliver()
    assert world.query.names == ["claim_tasks", "settle_attempts"]
