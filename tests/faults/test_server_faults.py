"""The database server: killed, stopped, replaced by a read-only one, out of disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stack import eventually
from tests.faults.conftest import run_sql
from tests.faults.conserved import all_completed
from tests.faults.scene import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localdev.postgres import PostgreSQL
    from tests.faults.scene import Scene


@pytest.fixture
def url(own_url: str) -> str:
    """Each test has a database of its own: they change its schema or its settings."""
    return own_url


def _end(server: PostgreSQL, way: str) -> None:
    if way == "kill -9":
        server.kill()
    elif way == "immediate":
        assert server._process
        server._process.send_signal(signal.SIGQUIT)
    else:
        server.stop()
    eventually(lambda: not server.running(), 20)


@pytest.mark.parametrize("way", ["kill -9", "immediate", "fast"])
def test_a_server_that_ends_under_load_and_starts_again_loses_nothing_it_confirmed(
    scene_of: Callable[..., Scene], own_server: PostgreSQL, server_url: str, way: str
) -> None:
    scene = scene_of(own=server_url)
    over = threading.Event()
    statuses: list[int] = []

    def be_a_client() -> None:
        while not over.is_set():
            statuses.append(scene.post().status_code)

    client = in_thread(be_a_client)
    eventually(lambda: len(scene.acknowledged) >= 20, 20)
    scene.deliver()
    in_work = scene.line.receive()
    _end(own_server, way)
    worker = in_thread(lambda: scene.hand_over(in_work))
    eventually(lambda: 503 in statuses, 20)
    own_server.start()
    taken = len(scene.acknowledged)
    eventually(lambda: len(scene.acknowledged) > taken, 20)
    over.set()
    client.join()
    worker.join()
    assert set(statuses) == {201, 503}
    scene.reconnect()
    all_completed(scene, *scene.acknowledged)


def test_a_server_that_is_down_is_a_503_and_a_kept_batch(
    scene_of: Callable[..., Scene], own_server: PostgreSQL, server_url: str
) -> None:
    scene = scene_of(own=server_url)
    number = scene.posted()
    own_server.stop()
    scene.assert_refusing()
    own_server.start()
    scene.reconnect()
    all_completed(scene, number)


def test_a_primary_that_became_a_read_only_standby_is_left_for_the_new_one(
    scene: Scene, url: str
) -> None:
    name = url.rsplit("/", 1)[1]
    number = scene.posted()
    scene.table.run(f"alter database {name} set default_transaction_read_only = on")
    scene.end_sessions()
    scene.assert_refusing()
    scene.table.run(f"alter database {name} reset default_transaction_read_only")
    # Connections to it are not kept, so nothing has to be restarted.
    all_completed(scene, number, scene.posted())


def test_a_disk_that_is_full_by_the_servers_own_word_is_a_503_and_a_kept_batch(
    scene: Scene,
) -> None:
    number = scene.posted()
    scene.table.run(
        """create function full_disk() returns trigger language plpgsql as $$
           begin raise 'could not extend file: No space left on device' using errcode = '53100';
           end $$;
           create trigger full_disk before insert or update on tasks
               for each row execute function full_disk()"""
    )
    scene.assert_refusing()
    assert scene.client.http.get(f"/tasks/{number}").status_code == 200
    scene.table.run("drop trigger full_disk on tasks")
    all_completed(scene, number, scene.posted())


@pytest.fixture
def small_disk(own_server: PostgreSQL, server_url: str) -> Iterator[Path]:
    """A disk of half a megabyte on which the table of tasks lies."""
    folder = Path(tempfile.mkdtemp(prefix="tasks-tests-", dir="/tmp"))
    folder.chmod(0o755)
    account = own_server._run_as()
    owner = f"uid={account.get('user', os.geteuid())},gid={account.get('group', os.getegid())}"
    options = f"size=512k,mode=0700,{owner}"
    try:
        _mount(folder, options)
    except (OSError, subprocess.CalledProcessError) as error:
        folder.rmdir()
        pytest.skip(f"this user may not mount a small disk: {error}")
    space = folder / "space"
    try:
        space.mkdir()
        os.chown(space, account.get("user", -1), account.get("group", -1))
        run_sql(
            server_url,
            f"create tablespace small location '{space}'",
            "alter table tasks set tablespace small",
        )
        yield folder
        name = server_url.rsplit("/", 1)[1]
        admin = own_server.url("postgres")
        run_sql(admin, f"drop database {name} with (force)", "drop tablespace small")
    finally:
        _run(["umount", "-l", str(folder)])
        shutil.rmtree(folder, ignore_errors=True)


def _mount(folder: Path, options: str) -> None:
    _run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_a_disk_that_is_full_is_a_503_and_a_kept_batch_until_there_is_space(
    scene_of: Callable[..., Scene], server_url: str, small_disk: Path
) -> None:
    scene = scene_of(own=server_url)
    filling: dict[str, Any] = {"payload": {"hex": os.urandom(3000).hex()}}
    for _ in range(300):
        response = scene.post(**filling)
        if response.status_code != 201:
            break
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert scene.acknowledged
    number = min(scene.acknowledged)
    assert scene.client.http.get(f"/tasks/{number}").status_code == 200
    scene.deliver()  # what of it needs space is kept
    _run(["mount", "-o", "remount,size=64m", str(small_disk)])
    all_completed(scene, *scene.acknowledged)
    scene.close()  # the table's disk goes before the scene does
