"""A function of the app with the one warm process that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from localdev.mapping.events import trace_header

if TYPE_CHECKING:
    from localdev.mapping.declared import Declared

START_LIMIT = 60.0  # seconds, for the import of the app


class InvocationFailed(Exception):
    """The function raised, took too long or died; its text says which."""


class Process(Protocol):
    """A process that runs one function, an event at a time."""

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until it takes events. Raises InvocationFailed if it never does."""

    def alive(self) -> bool:
        """Tell whether it can still be invoked."""

    def invoke(self, event: dict[str, Any], seconds: float, trace_id: str) -> Any:
        """Return the reply to ``event``. Raises InvocationFailed if there is none in time.

        A process that did not reply is killed.
        """

    def kill(self) -> None:
        """End it, whatever it does; an invocation under way fails."""


class Code(Protocol):
    """What functions run: the source tree, or a package of it."""

    def declared(self) -> Declared:
        """Return what the app declares. Raises InvocationFailed if that cannot be known."""

    def start(self, function: str) -> Process:
        """Start a process for the function, and do not wait for it."""


class Function:
    """Invokes one function, one event at a time, in a process that is replaced when it ends."""

    def __init__(self, code: Code, name: str, timeout: float) -> None:
        """``timeout`` is in seconds; the process is killed when it passes."""
        self.name = name
        self.busy = False
        self._code = code
        self._timeout = timeout
        self._process: Process | None = None
        self._closed = False

    def warm(self) -> None:
        """Start the process unless it runs. Raises InvocationFailed if the app won't import."""
        if not self._closed and (self._process is None or not self._process.alive()):
            self._process = self._code.start(self.name)
            self._process.wait_until_ready(START_LIMIT)

    def invoke(self, event: dict[str, Any]) -> Any:
        """Return the function's reply to ``event``. Raises InvocationFailed if there is none."""
        self.busy = True
        try:
            self.warm()
            if self._process is None or self._closed:
                message = f"{self.name} is closed"
                raise InvocationFailed(message)
            return self._process.invoke(event, self._timeout, trace_header())
        finally:
            self.busy = False

    def close(self) -> None:
        """Kill the process, whatever it does; an invocation under way fails."""
        self._closed = True
        if self._process is not None:
            self._process.kill()


def timed_out(seconds: float) -> InvocationFailed:
    """Return what to raise for a process that had to be killed after so many seconds."""
    return InvocationFailed(f"timed out after {seconds:g} s and was killed")


def ended(what: str, code: int | None) -> InvocationFailed:
    """Return what to raise for a process that ended by itself before it did ``what``."""
    return InvocationFailed(f"the process {what} (exit code {code})")
