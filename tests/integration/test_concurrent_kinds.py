"""Tasks of concurrent kinds run beside each other, each in a thread; others do not notice."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import Stopped, TimedOut
from chalicelib.handlers import registry as built_in
from chalicelib.settings import Settings
from tests.fakes import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.world import World

#: How long threads wait for each other before a test fails, in seconds.
PATIENCE = 20


@pytest.fixture
def many(world_of: Callable[..., World]) -> World:
    """A world whose worker may have ten threads; its database has four connections."""
    return world_of(worker_threads=10)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Every line of the service and of its handlers."""
    told = Heard()
    root = logging.getLogger()
    level = root.level
    root.addHandler(told)
    root.setLevel(logging.INFO)
    yield told
    root.removeHandler(told)
    root.setLevel(level)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What handlers that outlive their attempt wait for; it happens when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def statuses(world: World, numbers: list[int]) -> list[str]:
    return [world.table.status(number) for number in numbers]


def on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def meeting(world: World, people: int) -> threading.Barrier:
    """Register the kind "meet", whose handlers return when so many are there."""
    barrier = threading.Barrier(people)

    @world.registry.handler("meet", concurrent=True)
    def meet(task: Task, context: Context) -> int:
        barrier.wait(PATIENCE)
        context.log.info("met")
        return task.id

    return barrier


def test_tasks_that_wait_for_each_other_complete_in_one_batch(many: World) -> None:
    meeting(many, 10)
    numbers = [many.task(kind="meet") for _ in range(10)]
    many.deliver()
    assert statuses(many, numbers) == ["completed"] * 10
    assert [many.table.row(number)["result"] for number in numbers] == numbers
    assert many.queue.stored == []
    assert many.query.names.count("claim_tasks") == 1


def test_more_tasks_than_threads_take_turns(world_of: Callable[..., World]) -> None:
    world, threads = world_of(worker_threads=2), set()
    barrier = threading.Barrier(2)

    @world.registry.handler("pair", concurrent=True)
    def pair(task: Task, context: Context) -> None:  # noqa: ARG001
        barrier.wait(PATIENCE)
        threads.add(threading.active_count())

    numbers = [world.task(kind="pair") for _ in range(6)]
    before = threading.active_count()
    world.deliver()
    assert statuses(world, numbers) == ["completed"] * 6
    assert max(threads) <= before + 2


def test_one_that_raises_does_not_harm_the_others(many: World) -> None:
    barrier = threading.Barrier(3)

    @many.registry.handler("mixed", concurrent=True)
    def mixed(task: Task, context: Context) -> str:  # noqa: ARG001
        barrier.wait(PATIENCE)
        if task.title == "raises":
            raise KeyError
        if task.title == "exits":
            raise SystemExit
        return "done"

    numbers = [many.task(kind="mixed", title=title) for title in ("raises", "exits", "ends")]
    many.deliver()
    assert statuses(many, numbers) == ["retrying", "retrying", "completed"]
    assert many.table.row(numbers[0])["error"]["class"] == "KeyError"


def test_each_line_tells_of_its_own_task(many: World, heard: Heard) -> None:
    meeting(many, 4)
    numbers = [many.task(kind="meet") for _ in range(4)]
    many.deliver()
    met = heard.told("met")
    assert sorted(line["task_id"] for line in met) == numbers
    assert len({line["message_id"] for line in met}) == 4
    assert {line["kind"] for line in met} == {"meet"}


def test_other_kinds_stay_on_the_main_thread_and_come_after(many: World) -> None:
    seen: list[tuple[str, bool]] = []
    meeting(many, 2)

    @many.registry.handler("alone")
    def alone(task: Task, context: Context) -> None:  # noqa: ARG001
        seen.append((many.table.status(first), on_main_thread()))

    many.task(kind="alone")
    first = many.task(kind="meet")
    many.task(kind="meet")
    many.deliver()
    assert seen == [("completed", True)]


@pytest.mark.parametrize(("tasks", "threads"), [(1, 8), (3, 1)], ids=["one task", "one thread"])
def test_where_nothing_can_run_beside_it_a_task_stays_on_the_main_thread(
    world_of: Callable[..., World], tasks: int, threads: int
) -> None:
    world, seen = world_of(worker_threads=threads), []
    world.registry.handler("wide", concurrent=True)(lambda *_: seen.append(on_main_thread()))
    for _ in range(tasks):
        world.task(kind="wide")
    world.deliver()
    assert seen == [True] * tasks


def test_without_concurrent_kinds_there_is_no_thread_and_no_statement_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    numbers = [world.task() for _ in range(3)]
    world.deliver()
    assert statuses(world, numbers) == ["completed"] * 3
    assert world.query.names.count("claim_tasks") == 1
    assert set(world.query.names) == {"claim_tasks", "settle_attempts"}


def test_a_suspect_runs_alone_on_the_main_thread(many: World) -> None:
    seen = {}

    @many.registry.handler("wide", concurrent=True)
    def wide(task: Task, context: Context) -> None:  # noqa: ARG001
        seen[task.id] = on_main_thread()

    suspects = [many.task(kind="wide", suspect=True) for _ in range(2)]
    others = [many.task(kind="wide") for _ in range(2)]
    many.deliver()
    assert seen == dict.fromkeys(suspects, True) | dict.fromkeys(others, False)


def test_a_handler_that_outlives_its_deadline_is_given_up_and_its_neighbours_kept(
    many: World, release: threading.Event, heard: Heard
) -> None:
    @many.registry.handler("hang", concurrent=True, timeout=0.2)
    def hang(task: Task, context: Context) -> None:  # noqa: ARG001
        release.wait(PATIENCE)

    many.registry.handler("quick", concurrent=True)(lambda *_: "done")
    hanging, quick, usual = many.task(kind="hang"), many.task(kind="quick"), many.task()
    many.deliver()
    row = many.table.row(hanging)
    assert (row["status"], row["error"]["code"]) == ("retrying", "timeout")
    assert row["error"]["message"].startswith("The handler was still running after ")
    assert statuses(many, [quick, usual]) == ["completed"] * 2
    assert [line["task_id"] for line in heard.told("handler_goes_on")] == [hanging]


def test_what_a_handler_does_after_it_was_given_up_is_refused_or_undone(
    many: World, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.table.run("create table ledger (entry text)")
    late: list[str] = []
    over = threading.Event()

    @many.registry.handler("late", concurrent=True, timeout=1)
    def late_handler(task: Task, context: Context) -> str:
        transaction = context.transaction()
        context.enqueue("never")
        release.wait(PATIENCE)
        transaction.execute("insert into ledger values ('late')")
        for act in (context.heartbeat, lambda: context.progress(1), context.transaction):
            with pytest.raises(TimedOut):
                act()
        with pytest.raises(Stopped):
            context.powers.renew()
        late.append(task.title)
        return "late"

    undo = many.database._transactions.release

    def undone() -> None:
        undo()
        over.set()

    monkeypatch.setattr(many.database._transactions, "release", undone)
    many.registry.handler("quick", concurrent=True)(lambda *_: "done")
    number, _ = many.task(kind="late"), many.task(kind="quick")
    many.deliver()
    assert many.table.row(number)["error"]["code"] == "timeout"
    assert not late
    release.set()
    assert over.wait(PATIENCE)
    assert late == ["a title"]
    assert many.table.status(number) == "retrying"
    assert many.table.run("select * from ledger") == []
    assert many.table.count() == 2
    many.table.run("drop table ledger")


def test_handlers_that_never_end_take_up_threads_until_the_main_one_works_alone(
    world_of: Callable[..., World], release: threading.Event
) -> None:
    world, seen = world_of(worker_threads=2), []

    @world.registry.handler("hang", concurrent=True, timeout=0.1)
    def hang(task: Task, context: Context) -> None:  # noqa: ARG001
        seen.append(on_main_thread())
        release.wait(PATIENCE)

    numbers = [world.task(kind="hang") for _ in range(3)]
    world.deliver()
    assert statuses(world, numbers) == ["retrying"] * 3
    assert seen == [False, False, True]
    error = world.table.row(numbers[2])["error"]
    assert error["message"].startswith("The handler was interrupted after ")


def test_what_cannot_end_in_time_is_not_begun(world_of: Callable[..., World]) -> None:
    world = world_of(worker_threads=2)
    world.registry.handler("wide", concurrent=True)(lambda *_: "done")
    numbers = [world.task(kind="wide") for _ in range(3)]
    world.deliver(remaining=5)  # less than a sixth of the time limit: whoever is first is begun
    assert statuses(world, numbers) == ["completed", "retrying", "retrying"]
    rows = [world.table.row(number) for number in numbers]
    assert [row["release_count"] for row in rows] == [0, 1, 1]


def test_transactions_of_two_at_once_both_commit(many: World) -> None:
    many.table.run("create table ledger (entry bigint)")
    barrier = threading.Barrier(2)

    @many.registry.handler("exact", concurrent=True)
    def exact(task: Task, context: Context) -> None:
        context.transaction().execute("insert into ledger values (%(id)s)", id=task.id)
        barrier.wait(PATIENCE)
        context.heartbeat()
        context.enqueue("next")

    numbers = [many.task(kind="exact") for _ in range(2)]
    many.deliver()
    assert statuses(many, numbers) == ["completed"] * 2
    entries = many.table.run("select entry from ledger order by entry")
    assert [row["entry"] for row in entries] == numbers
    assert len(many.queue.sent) == 2
    many.table.run("drop table ledger")


def test_threads_that_want_more_connections_than_there_are_wait_for_each_other(
    many: World,
) -> None:
    @many.registry.handler("wide", concurrent=True)
    def wide(task: Task, context: Context) -> Any:  # noqa: ARG001
        [row] = context.transaction().execute("select pg_backend_pid() as pid")
        context.progress(50)
        context.step("a", lambda: 1)
        return row["pid"]

    numbers = [many.task(kind="wide") for _ in range(10)]
    many.deliver()
    assert statuses(many, numbers) == ["completed"] * 10
    assert len(many.database._idle) <= 4


@pytest.mark.parametrize("kind", ["http.call", "email.send", "webhook.deliver"])
def test_kinds_that_wait_for_the_network_are_concurrent(kind: str) -> None:
    assert built_in.policy_of(kind).concurrent
    assert Settings().worker_threads > 1
