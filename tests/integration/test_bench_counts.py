"""What the benchmark counts, on a real PostgreSQL and a real socket."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg2
import pytest

from bench import clients, witness
from bench.wire import Counter
from localdev.postgres import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(
    postgres_url: str,  # noqa: ARG001  (where none can be started, this is skipped)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PostgreSQL]:
    folder: Path = tmp_path_factory.mktemp("witness")
    with PostgreSQL(folder, durable=False, options=witness.OPTIONS) as started:
        witness.call(started.url("postgres"))
        yield started


@pytest.mark.parametrize(("seen", "counted"), [(True, 4), (False, 0)])
def test_wire_and_server_count_the_same_statements(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, *, seen: bool, counted: int
) -> None:
    url = server.url("postgres")
    port = urlsplit(url).port or 0
    counter = Counter(port, postgres=True)
    monkeypatch.setenv("PGOPTIONS", witness.SEEN["PGOPTIONS"])
    address = url.replace(f":{port}", f":{counter.port}")
    address = address if seen else witness.unseen(address)
    with contextlib.closing(psycopg2.connect(address)) as connection:
        counter.tally.clear()
        with witness.watching(witness.unseen(url)) as told, connection.cursor() as cursor:
            cursor.execute("select 1")  # psycopg2 says BEGIN before it
            cursor.execute("select generate_series(1, 1000), repeat('x', 1000)")
            connection.commit()
    counter.close()
    assert (counter.tally.statements, counter.tally.connections) == (4, 0)
    assert counter.tally.round_trips == 4
    assert told.statements == counted


class _Answers(BaseHTTPRequestHandler):
    """Creates what it is asked for, but for every third POST, and breaks off every fourth."""

    protocol_version = "HTTP/1.1"
    turns = iter(range(1000))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        turn = next(self.turns)
        if turn % 4 == 3:
            self.close_connection = True
            return
        self.send_response(503 if turn % 4 == 2 else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_clients_count_what_was_created_what_broke_and_what_never_came() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        posted = clients.post(f"127.0.0.1:{web.server_port}", 2, 20, 1)
        web.shutdown()
    assert (posted.created, posted.broken) == (10, 10)
    assert posted.statuses.count(clients.NO_ANSWER) == 5
    assert len(posted.times) == 20
