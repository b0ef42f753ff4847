from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from localdev.postgres import PostgreSQL
from localdev.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTS_AND_WAITS = """
import pathlib, sys, time
from localdev.postgres import PostgreSQL
server = PostgreSQL(pathlib.Path(sys.argv[1]), durable=False)
server.start()
print(server.url("postgres"), flush=True)
time.sleep(60)
"""

MAKES = """
import functools, pathlib, sys
from localdev.postgres import PostgreSQL
PostgreSQL(pathlib.Path(sys.argv[1]), say=functools.partial(print, flush=True)).start()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "postgres"


@pytest.fixture
def server(folder: Path) -> Iterator[PostgreSQL]:
    with PostgreSQL(folder, durable=False) as server:
        yield server


def ask(url: str, sql: str) -> Any:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return (cursor.fetchone() or [None])[0] if cursor.description else None


def answers(url: str) -> bool:
    try:
        return bool(ask(url, "SELECT true"))
    except psycopg2.OperationalError:
        return False


def test_data_survive_a_stop_and_a_start(folder: Path) -> None:
    with PostgreSQL(folder) as first:
        first.create_database("kept")
        ask(first.url("kept"), "CREATE TABLE t AS SELECT 7 AS n")
    with PostgreSQL(folder) as second:
        second.create_database("kept")
        assert ask(second.url("kept"), "SELECT n FROM t") == 7


def test_committed_data_survive_a_kill(folder: Path) -> None:
    server = PostgreSQL(folder)
    server.start()
    server.create_database("killed")
    ask(server.url("killed"), "CREATE TABLE IF NOT EXISTS t AS SELECT 8 AS n")
    server.kill()
    server.stop()
    with PostgreSQL(folder) as again:
        assert ask(again.url("killed"), "SELECT n FROM t") == 8


def test_a_server_left_over_from_a_dead_process_is_stopped_and_named(folder: Path) -> None:
    said: list[str] = []
    with (
        PostgreSQL(folder, durable=False) as left_over,
        PostgreSQL(folder, durable=False, say=said.append) as new,
    ):
        assert ["left over" in line for line in said] == [True]
        assert not left_over.running()
        assert ask(new.url("postgres"), "SELECT 1") == 1


def test_a_taken_port_is_avoided(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with PostgreSQL(folder, port=port, durable=False) as server:
            assert f":{port}/" not in server.url("postgres")
            assert ask(server.url("postgres"), "SELECT 1") == 1


def test_a_half_made_data_folder_is_made_anew(folder: Path, server: PostgreSQL) -> None:
    data = server.data
    server.stop()
    half_made = data.with_suffix(".new")
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18")
    data.rename(data.with_suffix(".away"))
    with PostgreSQL(folder, durable=False) as again:
        assert ask(again.url("postgres"), "SELECT 1") == 1
        assert not half_made.exists()


def test_the_password_is_needed_and_kept_from_others(folder: Path, server: PostgreSQL) -> None:
    url = server.url("postgres")
    password = url.split(":")[2].split("@")[0]
    assert answers(url)
    assert not answers(url.replace(password, "wrong"))
    assert stat.S_IMODE((folder / "postgres-password").stat().st_mode) == 0o600


def test_it_listens_on_the_loopback_only(server: PostgreSQL) -> None:
    assert ask(server.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url("postgres"), "SHOW unix_socket_directories") == ""


def test_only_a_server_for_tests_does_without_syncing(folder: Path) -> None:
    with PostgreSQL(folder, durable=False) as server:
        assert ask(server.url("postgres"), "SHOW fsync") == "off"
    with PostgreSQL(folder) as server:
        assert ask(server.url("postgres"), "SHOW fsync") == "on"


def test_letters_beyond_ascii_have_upper_case(server: PostgreSQL) -> None:
    assert ask(server.url("postgres"), "SELECT upper('éя')") == "ÉЯ"


def test_its_clients_come_with_it(server: PostgreSQL) -> None:
    command = [str(server.bin("psql")), server.url("postgres"), "-Atc", "SELECT 40 + 2"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"


def test_a_start_killed_while_it_makes_the_database_says_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    command = [sys.executable, "-c", MAKES, str(folder)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "making the database …\n"
        deadline = time.monotonic() + 10
        while not (folder / "postgres-password").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        first.kill()
    said: list[str] = []
    with PostgreSQL(folder, durable=False, say=said.append) as second:
        assert said == ["making the database …"]
        assert answers(second.url("postgres"))
    with PostgreSQL(folder, durable=False, say=said.append):
        assert said == ["making the database …"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops it")
def test_it_stops_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path / "postgres")]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert answers(url)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not answers(url)
