"""Child processes that live in their own session and never outlive their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "chalice_app"
HOST = "127.0.0.1"

_PR_SET_PDEATHSIG = 1
# Loaded here, since nothing may be loaded between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(number: int) -> None:
    """Let this process get signal ``number`` when its parent ends (Linux; elsewhere nothing).

    Linux means the thread that started the process: start children from one that stays.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def follow_parent(on_line: Callable[[str], None] | None = None) -> None:
    """End this process when its parent does: at once on Linux, else at the end of stdin.

    Lines that the parent writes to our stdin go to ``on_line``.
    """
    die_with_parent(signal.SIGKILL)

    def follow() -> None:
        for line in sys.stdin:
            if on_line is not None:
                on_line(line.strip())
        os._exit(1)

    threading.Thread(target=follow, name="lifeline", daemon=True).start()


def follow_forking_parent() -> None:
    """End this process, made by multiprocessing, when the one that asked for it does."""
    die_with_parent(signal.SIGKILL)
    parent = parent_process()

    def follow(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()


def start_python(
    module: str,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    output: IO[Any] | int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` with our packages in its path and a pipe as its lifeline.

    ``environ`` replaces ours. ``output`` takes both stdout and stderr. The module is expected
    to call follow_parent().
    """
    return subprocess.Popen(  # noqa: S603  (our own interpreter and modules)
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=python_environ(os.environ if environ is None else environ),
        pass_fds=pass_fds,
        start_new_session=True,
    )


def tell(process: subprocess.Popen[bytes], line: str) -> None:
    """Send a line to a process of start_python(); harmless if it is gone."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()


def python_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` so that Python finds our packages and prints whole lines."""
    path = [str(ROOT), str(APP), environ.get("PYTHONPATH", "")]
    unbuffered = {"PYTHONUNBUFFERED"}  # would split one printed line into several writes
    kept = {name: value for name, value in environ.items() if name not in unbuffered}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, dict.fromkeys(path)))}


def stop(process: subprocess.Popen[bytes], number: int, patience: float) -> None:
    """Send ``number``, wait ``patience`` seconds, then kill what is left of its session."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    # Also when it ended by itself: it may have been too young to see to its own children.
    _kill_session(process)
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and whatever runs in its session; may be called by a signal handler."""
    if process.poll() is None:
        _kill_session(process)


def ending(process: subprocess.Popen[bytes]) -> str:
    """Return how the process ended: its exit code, or the signal that killed it."""
    code = process.poll()
    if code is None:
        return "still running"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-code}"


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def mute(stream: IO[str]) -> None:
    """Let what is still written to ``stream``, which nobody reads any more, go nowhere.

    Python would otherwise complain at its end of what it could not write.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def last_lines(log: Path, count: int = 12) -> str:
    """Return the end of a log file, or an empty string if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def listen(port: int | None = None) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, at ``port`` if that is free, else at another.

    Raises PermissionError if this account may not listen at ``port``.
    """
    for candidate in (port or 0, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
        except PermissionError:
            listener.close()
            raise
        except OSError:
            listener.close()
        else:
            listener.listen(1024)
            return listener
    message = f"no free port on {HOST}"
    raise OSError(message)
