"""The HTTP API: killed at the worst moments, cut off from the queue, asked by many at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import StoreUnavailable
from chalicelib.schemas import TaskChanges
from localdev import processes
from localdev.processes import ROOT
from tests.e2e.stack import eventually
from tests.faults.conserved import all_completed, conserved
from tests.faults.http_server import Server
from tests.faults.proxy import READY_FOR_QUERY, Cut, http_error
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.proxy import Proxy
    from tests.faults.scene import Scene

CREATE = """
import os, signal
from chalicelib.runtime import Runtime
from chalicelib.schemas import NewTask
from chalicelib.settings import Settings

class Death:
    letters = None

    def send(self, letters):
        os.kill(os.getpid(), signal.SIGKILL)

print("creating", flush=True)
Runtime(Settings.from_env(), queue=Death()).serve(None).create(NewTask(title="a title"))
"""


@pytest.fixture
def creator(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the API that creates a task and is killed before it sends the message."""
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE],
        env=processes.python_environ({**os.environ, "DATABASE_URL": url, "AUTH": "off"}),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    yield process
    process.kill()
    process.communicate()


def test_an_api_killed_between_its_row_and_its_message_loses_no_task(
    scene: Scene, creator: subprocess.Popen[bytes]
) -> None:
    assert creator.wait(30) == -9
    assert [row["status"] for row in scene.table.run("select status from tasks")] == ["pending"]
    assert scene.line.left() == 0
    all_completed(scene)
    assert len(scene.runs) == 1


def _in_an_insert(table: Table) -> list[int]:
    """Return the sessions that wait for the table in order to write to it."""
    rows = table.run(
        "select pid from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and query ~ 'create_tasks'"
    )
    return [row["pid"] for row in rows]


@pytest.mark.parametrize("noticed", ["in time", "too late"])
def test_an_api_killed_in_its_insert_leaves_no_task_or_a_whole_one(
    scene: Scene, url: str, request: pytest.FixtureRequest, noticed: str
) -> None:
    """The client heard nothing and asks again, so there are one or two tasks, both whole."""
    human = Table(url)
    human.run("begin")
    human.run("lock table tasks in share mode")
    creator: subprocess.Popen[bytes] = request.getfixturevalue("creator")
    [pid] = eventually(lambda: _in_an_insert(scene.table), 30)
    creator.kill()
    creator.wait()
    if noticed == "in time":
        scene.table.run("select pg_terminate_backend(%s, 5000)", [pid])
    human.run("commit")
    human.close()
    over = "select 1 from pg_stat_activity where pid = %s"
    eventually(lambda: not scene.table.run(over, [pid]), 10)
    scene.posted()
    all_completed(scene)
    assert scene.table.count() == (1 if noticed == "in time" else 2)


def test_a_create_whose_reply_was_lost_says_503_and_its_task_completes_all_the_same(
    far: Scene, database_proxy: Proxy
) -> None:
    """It is not repeated behind the client's back: only the client knows whether to ask again."""
    database_proxy.cut = Cut(b"create_tasks", reply_end=READY_FOR_QUERY)
    response = far.post()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert far.table.count() == 1
    all_completed(far)
    assert len(far.runs) == 1


def test_a_create_with_a_key_whose_reply_was_lost_is_repeated_by_itself_and_makes_one_task(
    far: Scene, database_proxy: Proxy
) -> None:
    database_proxy.cut = Cut(b"create_tasks", reply_end=READY_FOR_QUERY)
    headers = {"Content-Type": "application/json", "Idempotency-Key": '"a-key"'}
    body = json.dumps({"title": "a title"}).encode()
    answers = [
        far.client.http.request("POST", "/tasks", headers=headers, body=body) for _ in range(2)
    ]
    assert database_proxy.cut.times == 0
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({json.loads(answer.body)["id"] for answer in answers}) == 1
    assert far.table.count() == 1
    all_completed(far)
    assert len(far.runs) == 1


def test_a_change_whose_reply_was_lost_is_not_repeated_to_be_told_that_it_is_stale(
    far: Scene, database_proxy: Proxy
) -> None:
    number = far.posted(delay_seconds=60)
    version = far.table.row(number)["created_at"]
    database_proxy.cut = Cut(b'"changed"', reply_end=READY_FOR_QUERY)
    desk = far.runtime.serve(None)
    with pytest.raises(StoreUnavailable):
        desk.update(number, TaskChanges(title="changed"), versions=[version])
    assert far.table.row(number)["title"] == "changed"


REFUSALS = {
    "throttled": http_error(400, "RequestThrottled"),
    "busy": http_error(503, "ServiceUnavailable"),
    "denied": http_error(403, "AccessDeniedException"),
    "key denied": http_error(400, "KmsAccessDenied"),
    "no HTTP at all": b"\x00\x01garbage\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_queue_that_refuses_costs_the_client_nothing_but_time(
    wired: Scene, sqs_proxy: Proxy, name: str
) -> None:
    sqs_proxy.answer = REFUSALS[name]
    began = time.monotonic()
    number = wired.posted()
    assert time.monotonic() - began < 3
    assert wired.table.unsent() == {number}
    assert wired.sweep()["sent"] == 0
    sqs_proxy.answer = b""
    assert wired.sweep()["sent"] == 1
    all_completed(wired, number)
    assert wired.runs == [number]


@pytest.mark.parametrize("way", ["refusing", "silent"])
def test_a_queue_that_cannot_be_reached_costs_the_client_nothing_but_a_second(
    wired: Scene, sqs_proxy: Proxy, way: str
) -> None:
    setattr(sqs_proxy, way, True)
    began = time.monotonic()
    number = wired.posted()
    assert time.monotonic() - began < 3
    assert wired.table.unsent() == {number}
    setattr(sqs_proxy, way, False)
    sqs_proxy.reset_all()
    assert wired.sweep()["sent"] == 1
    all_completed(wired, number)
    assert wired.runs == [number]


def test_a_message_that_arrived_without_a_reply_is_sent_twice_and_worked_once(
    wired: Scene, sqs_proxy: Proxy
) -> None:
    wired.posted()  # the queue's address is known from here on
    sqs_proxy.cut = Cut(b"AmazonSQS.SendMessage")
    number = wired.posted()
    assert wired.table.unsent() == {number}
    assert wired.sweep()["sent"] == 1
    assert wired.line.left() == 3
    all_completed(wired, number)
    assert wired.runs.count(number) == 1


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    server = Server(url)
    yield server
    server.close()


def test_clients_that_never_end_their_requests_do_not_hold_up_the_others(
    server: Server, scene: Scene
) -> None:
    number = scene.posted()
    assert server.get("/healthz")[0] == 200
    start = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    slow = [server.half_open(start) for _ in range(20)]
    slow += [server.half_open(start + b"\r\n{") for _ in range(20)]
    taken = [server.get(f"/tasks/{number}") for _ in range(10)]
    assert {status for status, _ in taken} == {200}
    assert sorted(seconds for _, seconds in taken)[5] < 1
    for one in slow:
        one.close()
    all_completed(scene, number)


def test_a_thousand_posts_at_once_over_four_connections_are_all_kept(
    scene_of: Callable[..., Scene],
) -> None:
    """A storm of clients waits for connections instead of opening one each."""
    from concurrent.futures import ThreadPoolExecutor

    from chalicelib.schemas import NewTask

    scene = scene_of(database_connections=4, database_patience=30)
    create = scene.runtime.serve(None).create
    with ThreadPoolExecutor(32) as clients:
        views = list(clients.map(lambda n: create(NewTask(title=f"t{n}")), range(1000)))
    scene.acknowledged |= {view.task.id for view in views}
    assert len(scene.acknowledged) == 1000
    sessions = scene.table.run(
        "select count(*) as n from pg_stat_activity where datname = current_database()"
    )
    assert sessions[0]["n"] <= 5
    rows = conserved(scene)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert len(scene.runs) == 1000


TRACED = """
import json, sys, time
from aws_xray_sdk.core import xray_recorder
from chalicelib import tracing
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings

if sys.argv[1] == "xray":
    tracing.enable("xray", patience=1)
xray_recorder.configure(sampling=False)  # as in Lambda, where the caller has decided
runtime = Runtime(Settings.from_env())
with xray_recorder.in_segment("test"):
    runtime.health.read_schema_version()
began = time.monotonic()
for _ in range(100):
    with xray_recorder.in_segment("test"):
        runtime.health.read_schema_version()
print(json.dumps(time.monotonic() - began))
"""


def test_an_xray_daemon_that_is_absent_costs_no_time_and_raises_nothing(url: str) -> None:
    """Spans go out by UDP to nobody; a hundred statements are traced."""
    seconds = {}
    environ = {
        **os.environ,
        "DATABASE_URL": url,
        "AUTH": "off",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:1",
    }
    for mode in ("off", "xray"):
        done = subprocess.run(
            [sys.executable, "-c", TRACED, mode],
            env=processes.python_environ(environ),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        seconds[mode] = json.loads(done.stdout)
    assert seconds["xray"] < seconds["off"] + 2  # 20 ms a statement would be a delay
