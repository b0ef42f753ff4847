"""The connection to the database: broken, cut, slow, silent, refused, or more than it allows."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from chalicelib.worker import persist
from tests.e2e.stack import eventually
from tests.faults.conftest import behind, run_sql
from tests.faults.conserved import all_completed
from tests.faults.proxy import READY_FOR_QUERY, Cut, postgres_error
from tests.faults.scene import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.proxy import Proxy
    from tests.faults.scene import Scene


def test_sessions_that_are_terminated_all_the_time_lose_nothing(scene: Scene) -> None:
    over = threading.Event()

    def terminate() -> None:
        connection = psycopg2.connect(scene.url)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            while not over.wait(0.01):
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'chalice-tasks' and datname = current_database()"
                )

    human = in_thread(terminate)
    statuses = {scene.post().status_code for _ in range(60)}
    for _ in range(10):
        scene.deliver()
    over.set()
    human.join()
    assert statuses <= {201, 503}
    assert scene.acknowledged
    all_completed(scene, *scene.acknowledged)


@pytest.mark.parametrize("statement", ["from claim_tasks(", "from settle_attempts("])
def test_a_reply_that_is_cut_off_makes_the_worker_repeat_itself_under_the_same_token(
    far: Scene, database_proxy: Proxy, statement: str
) -> None:
    """PostgreSQL has carried it out; the second time finds that it was, and costs no attempt."""
    ids = [far.posted() for _ in range(3)]
    cut = database_proxy.cut = Cut(statement.encode(), reply_end=READY_FOR_QUERY)
    far.deliver()
    assert cut.times == 0
    assert {far.table.status(number) for number in ids} == {"completed"}
    all_completed(far, *ids)
    assert {far.table.row(number)["attempt"] for number in ids} == {1}
    assert sorted(far.runs) == ids


def test_a_connection_reset_while_a_handler_runs_is_replaced_for_its_result(
    far: Scene, database_proxy: Proxy
) -> None:
    @far.registry.handler("resetting")
    def resetting(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        database_proxy.reset_all()
        return {"attempt": task.attempts_spent}

    number = far.posted(kind="resetting")
    opened = database_proxy.opened
    far.deliver()
    assert database_proxy.opened > opened
    assert far.table.status(number) == "completed"
    all_completed(far, number)


def test_a_result_waits_for_a_database_that_comes_back_soon(
    far: Scene, database_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that is done is not done again because its result could not be written at once."""
    monkeypatch.setattr(persist, "PERSISTENCE", (0.1, 0.4, 1.5, 3.0))
    done: list[int] = []
    back = threading.Timer(0.4, setattr, (database_proxy, "refusing", False))

    @far.registry.handler("cut off")
    def cut_off(task: Any, context: Any) -> dict[str, int]:  # noqa: ARG001
        done.append(task.id)
        database_proxy.refusing = True
        database_proxy.reset_all()
        back.start()
        return {"attempt": task.attempts_spent}

    number = far.posted(kind="cut off")
    far.deliver()
    back.join()
    assert far.table.status(number) == "completed"
    all_completed(far, number)
    assert done == [number]


def test_a_database_that_refuses_is_a_503_and_a_kept_batch(
    far: Scene, database_proxy: Proxy
) -> None:
    number = far.posted()
    database_proxy.refusing = True
    database_proxy.reset_all()
    far.assert_refusing()
    database_proxy.refusing = False
    all_completed(far, number)


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("57P03", "the database system is starting up"),
        ("53300", "sorry, too many clients already"),
        ("28000", "no pg_hba.conf entry"),
        ("3D000", "no such database"),
    ],
)
def test_a_server_that_turns_connections_away_is_a_503_and_a_kept_batch(
    far: Scene, database_proxy: Proxy, sqlstate: str, message: str
) -> None:
    number = far.posted()
    database_proxy.answer = postgres_error(sqlstate, message)
    database_proxy.reset_all()
    far.assert_refusing()
    database_proxy.answer = b""
    all_completed(far, number)


def test_a_database_that_is_far_away_is_slow_and_nothing_else(
    scene_of: Callable[..., Scene], url: str, database_proxy: Proxy
) -> None:
    """Each way takes 0.1 s; the usual four seconds suffice for it, opening included."""
    scene = scene_of(behind(url, database_proxy))
    database_proxy.delay = 0.1
    ids = [scene.posted() for _ in range(3)]
    began = time.monotonic()
    scene.deliver()
    assert 0.3 < time.monotonic() - began < 4
    assert {scene.table.status(number) for number in ids} == {"completed"}
    database_proxy.delay = 0
    all_completed(scene, *ids)


def test_a_database_that_falls_silent_holds_nobody_up_for_long(
    far: Scene, database_proxy: Proxy
) -> None:
    number = far.posted()
    database_proxy.silent = True
    for action, limit in ((far.post, 3), (far.deliver, 6)):  # the worker tries three times
        began = time.monotonic()
        action()
        assert time.monotonic() - began < limit
    assert far.acknowledged == {number}
    assert far.line.left() == 1
    database_proxy.silent = False
    all_completed(far, number)


def test_more_connections_than_the_role_may_have_are_a_503_and_a_kept_batch(
    scene_of: Callable[..., Scene], server_url: str
) -> None:
    role = "narrow"
    run_sql(
        server_url,
        f"drop role if exists {role}",
        f"create role {role} login password 'narrow' connection limit 1",
        f"grant all on all tables in schema public to {role}",
        f"grant usage on all sequences in schema public to {role}",
    )
    through = _as(server_url, role, "narrow")
    scene = scene_of(through, own=server_url)
    holder = psycopg2.connect(through)
    scene.assert_refusing()
    holder.close()
    eventually(lambda: scene.post().status_code == 201, 10)
    scene.deliver()
    scene.runtime.database.close()
    holder = _connected(through)
    scene.assert_refusing()
    holder.close()
    _connected(through).close()
    all_completed(scene, *scene.acknowledged)
    scene.runtime.database.close()
    run_sql(server_url, f"drop owned by {role}", f"drop role {role}")


def test_a_password_that_is_changed_stops_new_connections_only_until_the_settings_follow(
    scene_of: Callable[..., Scene], server_url: str
) -> None:
    role = "rotated"
    run_sql(
        server_url,
        f"drop role if exists {role}",
        f"create role {role} login password 'old'",
        f"grant all on all tables in schema public to {role}",
        f"grant usage on all sequences in schema public to {role}",
    )
    old = scene_of(_as(server_url, role, "old"), own=server_url)
    ids = [old.posted()]
    run_sql(server_url, f"alter role {role} password 'new'")
    ids.append(old.posted())  # what is connected stays so
    old.end_sessions()
    old.assert_refusing()
    queue: Any = old.runtime.queue
    new = scene_of(_as(server_url, role, "new"), own=server_url, queue=queue)
    new.acknowledged = old.acknowledged
    all_completed(new, *ids)
    for scene in (old, new):
        scene.runtime.database.close()
    run_sql(server_url, f"drop owned by {role}", f"drop role {role}")


def _as(url: str, role: str, password: str) -> str:
    place = url.rsplit("@", 1)[1]
    return f"postgresql://{role}:{password}@{place}"


def _connected(url: str) -> Any:
    def attempt() -> Any:
        with contextlib.suppress(psycopg2.OperationalError):
            return psycopg2.connect(url)
        return None

    return eventually(attempt, 10)
