"""A database that is silent, slow or quarrelling: nothing waits for ever."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from chalicelib.db import Database, Statement
from chalicelib.errors import StoreUnavailable
from localdev.processes import listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World


class Silence:
    """A TCP proxy before PostgreSQL that acknowledges, and at a word passes nothing on."""

    def __init__(self, url: str) -> None:
        parts = parse_dsn(url)
        self._server = (parts["host"], int(parts["port"]))
        self._listener = listen()
        self.url = make_dsn(url, port=str(self._listener.getsockname()[1]))
        self.silent = threading.Event()
        self.opened = 0
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while True:
            try:
                for one in select.select(list(other), [], [], 1)[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if not self.silent.is_set():
                        other[one].sendall(data)
            except (OSError, ValueError):
                return

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def silence(database_url: str) -> Iterator[Silence]:
    proxy = Silence(database_url)
    yield proxy
    proxy.close()


def timed(database: Database, name: str) -> float:
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        database.query(name)
    return time.monotonic() - begun


def database_at(url: str, *, patience: float, connections: int = 2) -> Database:
    database = Database(url, patience=patience, connections=connections)
    database._statements |= {
        "one": Statement("one", "select 1 as n", once=False),
        "long": Statement("long", "select pg_sleep(30)", once=False),
    }
    return database


def test_a_server_that_falls_silent_is_given_up_in_time_and_left(silence: Silence) -> None:
    with closing(database_at(silence.url, patience=0.5)) as database:
        assert database.query("one") == [{"n": 1}]
        silence.silent.set()
        assert 0.4 < timed(database, "one") < 3
        silence.silent.clear()
        assert database.query("one") == [{"n": 1}]
        assert silence.opened == 2


def test_a_server_that_never_greets_is_given_up_in_time(silence: Silence) -> None:
    silence.silent.set()
    with closing(database_at(silence.url, patience=0.5)) as database:
        assert 0.4 < timed(database, "one") < 3


def test_a_statement_that_takes_too_long_is_given_up_in_time(database_url: str) -> None:
    with closing(database_at(database_url, patience=0.3)) as database:
        assert 0.2 < timed(database, "long") < 3
        assert database.query("one") == [{"n": 1}]


def test_waiting_for_a_free_connection_ends_in_time(database_url: str) -> None:
    with closing(database_at(database_url, patience=1.0, connections=1)) as database:
        holder = threading.Thread(target=timed, args=(database, "long"))
        holder.start()
        time.sleep(0.2)
        database._patience = 0.3
        assert 0.2 < timed(database, "one") < 0.9
        holder.join()


def test_a_connection_that_is_not_ours_has_no_deadline(database_url: str) -> None:
    with closing(database_at(database_url, patience=0.1)):
        connection = psycopg2.connect(database_url)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("select pg_sleep(0.3)")
            assert cursor.fetchall() == [("",)]


@pytest.mark.parametrize("code", ["40P01", "40001", "55P03"])
def test_a_statement_that_the_server_undid_is_repeated_even_if_it_is_done_once(
    world: World, code: str
) -> None:
    world.table.run("create sequence quarrels")
    world.table.run(
        f"""create function quarrel() returns bigint language plpgsql as $$
            begin
                if nextval('quarrels') < 3 then raise sqlstate '{code}'; end if;
                return currval('quarrels');
            end $$"""
    )
    once = Statement("quarrel", "select quarrel() as n", once=True)
    world.database._statements["quarrel"] = once
    try:
        assert world.database.query("quarrel") == [{"n": 3}]
    finally:
        world.table.run("drop function quarrel; drop sequence quarrels")
