"""A server of our own that runs as a child process, from start to stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from localdev import processes

if TYPE_CHECKING:
    import subprocess


class ChildServer(ABC):
    """What all of them have in common; as a context manager it runs inside the block."""

    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start the server. Raises StackError if that fails."""

    @abstractmethod
    def wait_until_ready(self) -> None:
        """Wait until the server answers. Raises StackError if it does not."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server; harmless when it does not run."""

    def running(self) -> bool:
        """Tell whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def ending(self) -> str:
        """Return how the process ended: its exit code or signal."""
        return "not started" if self._process is None else processes.ending(self._process)

    def kill(self) -> None:
        """Kill the server at once."""
        if self._process is not None:
            processes.kill(self._process)
