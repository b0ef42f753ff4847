"""A function of the app with the one warm process that runs it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any

from localdev.mapping.declared import Declared, stage_environ
from localdev.mapping.events import trace_header
from localdev.mapping.runner import Invocation, Raised, run
from localdev.processes import APP

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

START_LIMIT = 60.0  # seconds, for the import of the app

# Forks from a process that has imported the app once and has no threads.
_processes = multiprocessing.get_context("forkserver")


def preload() -> None:
    """Import our app once for all processes to come, without waiting for it."""
    # Chalice lets the stage's variables win over the shell's; app.py is imported with them.
    os.environ.update(stage_environ(APP))
    _processes.set_forkserver_preload(["localdev.mapping.runner", "app"])
    forkserver.ensure_running()


class InvocationFailed(Exception):
    """The function raised, took too long or died; its text says which."""


class Function:
    """Invokes one function, one event at a time, in a process that is replaced when it ends."""

    def __init__(self, app_folder: Path, name: str, timeout: float) -> None:
        """``timeout`` is in seconds; the process is killed when it passes."""
        self.name = name
        self.busy = False
        self._app_folder = app_folder
        self._timeout = timeout
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._closed = False

    def start(self) -> Declared:
        """Start the process and return what the app declares.

        Raises InvocationFailed if the app won't import.
        """
        ours, theirs = _processes.Pipe()
        arguments = (theirs, str(self._app_folder), self.name)
        self._process = _processes.Process(target=run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._connection = ours
        declared = self._receive(START_LIMIT)
        if not isinstance(declared, Declared):
            raise self._ended("did not start", START_LIMIT)
        return declared

    def warm(self) -> None:
        """Start the process unless it runs. Raises InvocationFailed if the app won't import."""
        if not self._closed and (self._process is None or not self._process.is_alive()):
            self.start()

    def invoke(self, event: dict[str, Any]) -> Any:
        """Return the function's reply to ``event``. Raises InvocationFailed if there is none."""
        self.busy = True
        try:
            self.warm()
            return self._invoke(event)
        finally:
            self.busy = False

    def close(self) -> None:
        """Kill the process, whatever it does; an invocation under way fails."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.join(5)

    def _invoke(self, event: dict[str, Any]) -> Any:
        if self._connection is None or self._closed:
            message = f"{self.name} is closed"
            raise InvocationFailed(message)
        deadline = time.monotonic() + self._timeout
        with contextlib.suppress(OSError):
            self._connection.send(Invocation(event, deadline, trace_header()))
        reply = self._receive(self._timeout)
        if isinstance(reply, BaseException):
            raise self._ended("ended without a reply", self._timeout)
        if isinstance(reply, Raised):
            message = f"{reply.kind}: {reply.text}"
            raise InvocationFailed(message)
        return reply

    def _receive(self, timeout: float) -> Any:
        if self._connection is None or not self._connection.poll(timeout):
            return TimeoutError()
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            return error

    def _ended(self, what: str, limit: float) -> InvocationFailed:
        process, self._process = self._process, None
        if process is None:
            return InvocationFailed(what)
        process.join(0.2)
        late = process.is_alive()
        process.kill()
        process.join(5)
        if self._connection is not None:
            self._connection.close()
        if late:
            return InvocationFailed(f"timed out after {limit:g} s and was killed")
        return InvocationFailed(f"the process {what} (exit code {process.exitcode})")
