"""Starts the parts of the stack in order, watches them, and stops them in reverse."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from chalicelib.chalice_cli.refusals import FOR_A_LAPTOP
from localdev import keys, parts, processes, servers, state, tools
from localdev.console import Console
from localdev.deploy import package
from localdev.errors import StackError
from localdev.mapping.declared import stage_environ
from localdev.parts import Part

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

READY_LIMIT = 60.0  # seconds
_HINTS = """look:  {url}/  (the tasks, on a page)
try:   curl -s {url}/tasks {shown}-H 'Content-Type: application/json' \
-d '{{"title": "Hello"}}'
stop:  Ctrl-C
"""


@dataclass(frozen=True)
class Options:
    """What `python -m localdev up` was asked for."""

    port: int
    folder: Path
    workers: int
    json: bool
    auth: bool = False
    packaged: bool = False


class Supervisor:
    """One run of the stack."""

    def __init__(self, options: Options) -> None:
        """Nothing is started before run()."""
        self._options = options
        self._environ = {**os.environ, **({"AUTH": "keys"} if options.auth else {})}
        self._url = f"http://{processes.HOST}:{options.port}"
        self._stopping = threading.Event()
        self._mapping_ready = threading.Event()
        self._parts: list[Part] = []
        self._failure = ""
        self._console = Console(sys.stdout, raw=options.json, on_broken=self._stopping.set)

    def run(self) -> int:
        """Run until a signal comes, and return 0. Raises StackError if a part fails."""
        parts.checked_settings(self._environ | stage_environ(processes.APP))
        folder = self._options.folder
        state.prepare(folder)
        self._take_signals()
        with state.locked(folder, self._url), self._take_port() as listener:
            try:
                self._start(listener)
                self._watch()
            finally:
                self._stop()
        return 0

    def _take_signals(self) -> None:
        def on_signal(number: int, _: object) -> None:
            if self._stopping.is_set() and number == signal.SIGINT:
                for part in self._parts:
                    part.kill()
                os._exit(1)
            self._stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, on_signal)

    def _take_port(self) -> socket.socket:
        # What a killed stack left behind ends within moments.
        port = self._options.port
        choose = "choose another: scripts/dev.sh --port "
        deadline = time.monotonic() + (5 if state.left_behind(self._options.folder) else 0)
        while True:
            try:
                listener = processes.listen(port)
            except PermissionError:
                raise StackError(f"port {port} is not allowed to you; {choose}8000") from None
            if listener.getsockname()[1] == port:
                return listener
            listener.close()
            if time.monotonic() >= deadline:
                raise StackError(f"port {port} is taken by another program; {choose}{port + 1}")
            time.sleep(0.1)

    def _start(self, listener: socket.socket) -> None:
        folder = self._options.folder
        found = servers.start(folder, self._environ, self._parts, self._console.say)
        if self._ending():
            return
        values = parts.settings(
            self._environ, found.database_url, found.endpoint, files=folder.resolve() / "files"
        )
        environ = parts.environ_of_parts(self._environ, values)
        flags = ["--workers", str(self._options.workers), *found.mapping_flags]
        if self._options.packaged:
            flags += ["--package", str(self._package())]
        self._start_python("mapping", "localdev.mapping", flags, environ)
        descriptor = listener.fileno()
        # It has the socket already: whoever comes early waits instead of being refused.
        web = self._start_python(
            "http", "localdev.http_server", [str(descriptor)], environ, [descriptor]
        )
        self._wait(self._mapping_ready.is_set)
        processes.tell(web, "go")
        self._wait(functools.partial(_is_ready, self._options.port))
        if not self._ending():
            state.write(folder, state.Running(os.getpid(), self._url, values, found.psql))
            shown = self._key(found.database_url) if values["AUTH"] == "keys" else ""
            self._console.must_say(f"ready {self._url}")
            self._console.say(_HINTS.format(url=self._url, shown=shown))

    def _package(self) -> Path:
        out = self._options.folder / "zip"
        self._console.say("packaging the stage dev …")
        region = self._environ.get("AWS_DEFAULT_REGION", "us-east-1")
        environ = {**self._environ, FOR_A_LAPTOP: "1"}
        made = package.make(processes.APP, "dev", out, environ, region)
        tools.python_of("lambda")
        self._console.say(f"packaged: {made.zip.stat().st_size:,} bytes, {made.digest[:12]}")
        return out

    def _key(self, database_url: str) -> str:
        # A new one at each start, since it is kept nowhere; the terminal alone has it.
        key = keys.key_for_a_day(database_url)
        self._console.say(f"key:   {key}  (for a day; it is not kept)")
        return f"-H 'Authorization: Bearer {key}' "

    def _start_python(
        self,
        name: str,
        module: str,
        arguments: list[str],
        environ: dict[str, str],
        pass_fds: list[int] | None = None,
    ) -> subprocess.Popen[bytes]:
        process = processes.start_python(
            module, *arguments, environ=environ, output=subprocess.PIPE, pass_fds=pass_fds or ()
        )
        tail = self._console.follow(name, _pipe(process), self._on_event)
        stop = functools.partial(processes.stop, process, signal.SIGTERM, 8)
        kill = functools.partial(processes.kill, process)
        ending = functools.partial(processes.ending, process)
        alive = functools.partial(_is_alive, process)
        self._parts.append(Part(name, alive, ending, tail.text, stop, kill))
        return process

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "mapping_ready":
            self._mapping_ready.set()
        elif event["event"] == "mapping_failed":
            self._failure = str(event.get("error"))

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_LIMIT
        while not self._ending() and not ready():
            if time.monotonic() > deadline:
                message = f"not ready after {READY_LIMIT:g} s"
                raise StackError(message)
            time.sleep(0.01)

    def _ending(self) -> bool:
        return self._stopping.is_set() or self._dead() is not None

    def _dead(self) -> Part | None:
        return next((part for part in self._parts if not part.alive()), None)

    def _watch(self) -> None:
        while not self._stopping.wait(0.1) and not self._console.abandoned():
            dead = self._dead()
            if dead is not None:
                lines = dead.last_words()
                message = f"{dead.name} died ({dead.ending()}); its last lines:\n{lines}"
                raise StackError(self._failure or message)

    def _stop(self) -> None:
        self._stopping.set()
        if self._parts:
            self._console.say("stopping …")
        for part in reversed(self._parts):
            part.stop()
        state.forget(self._options.folder)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        message = "started without a pipe"
        raise ValueError(message)
    return process.stdout


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(processes.HOST, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False
