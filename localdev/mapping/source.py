"""The source tree as what functions run, in processes forked from one that has imported it."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any

from localdev.mapping.declared import Declared
from localdev.mapping.function import START_LIMIT, InvocationFailed, ended, timed_out
from localdev.mapping.runner import Invocation, Raised, run

if TYPE_CHECKING:
    from pathlib import Path

# Forks from a process that has imported the app once and has no threads.
_processes = multiprocessing.get_context("forkserver")


def preload() -> None:
    """Import our app once for all processes to come, without waiting for it."""
    _processes.set_forkserver_preload(["localdev.mapping.runner", "app"])
    forkserver.ensure_running()


class Source:
    """An app's folder."""

    def __init__(self, app_folder: Path) -> None:
        """Take the folder of app.py."""
        self._folder = app_folder

    def declared(self) -> Declared:
        """Return what the app declares. Raises InvocationFailed if it won't import."""
        process = ForkedProcess(self._folder, "")
        process.wait_until_ready(START_LIMIT)
        process.kill()
        return process.declared

    def start(self, function: str) -> ForkedProcess:
        """Start a process for the function, and do not wait for it."""
        return ForkedProcess(self._folder, function)


class ForkedProcess:
    """A process that runs one function of the source tree, an event at a time."""

    def __init__(self, app_folder: Path, function: str) -> None:
        """Start it."""
        self.declared: Declared
        self._connection, theirs = _processes.Pipe()
        arguments = (theirs, str(app_folder), function)
        self._process = _processes.Process(target=run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until it has imported the app. Raises InvocationFailed if it never does."""
        declared = self._receive(seconds)
        if not isinstance(declared, Declared):
            raise self._ended("did not start", seconds)
        self.declared = declared

    def alive(self) -> bool:
        """Tell whether it can still be invoked."""
        return self._process.is_alive()

    def invoke(self, event: dict[str, Any], seconds: float, trace_id: str) -> Any:
        """Return the reply to ``event``. Raises InvocationFailed if there is none in time."""
        with contextlib.suppress(OSError):
            self._connection.send(Invocation(event, time.monotonic() + seconds, trace_id))
        reply = self._receive(seconds)
        if isinstance(reply, BaseException):
            raise self._ended("ended without a reply", seconds)
        if isinstance(reply, Raised):
            message = f"{reply.kind}: {reply.text}"
            raise InvocationFailed(message)
        return reply

    def kill(self) -> None:
        """End it, whatever it does; an invocation under way fails."""
        self._process.kill()
        self._process.join(5)

    def _receive(self, timeout: float) -> Any:
        try:
            if not self._connection.poll(timeout):
                return TimeoutError()
            return self._connection.recv()
        except (EOFError, OSError) as error:
            return error

    def _ended(self, what: str, limit: float) -> InvocationFailed:
        self._process.join(0.2)
        late = self._process.is_alive()
        self.kill()
        self._connection.close()
        return timed_out(limit) if late else ended(what, self._process.exitcode)
