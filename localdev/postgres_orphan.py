"""Stops a PostgreSQL server that outlived the process it was started by."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from localdev.errors import StackError


def stop_orphan(data: Path) -> str:
    """Stop the server that still holds ``data``, if any, and say so; else return "".

    Raises StackError if it does not end.
    """
    pid = _holder(data)
    if pid is None:
        return ""
    for number, patience in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if _holder(data) is None:
                return f"stopped a PostgreSQL server left over from an earlier run (process {pid})"
            time.sleep(0.05)
    message = f"a PostgreSQL server (process {pid}) holds {data} and does not end; kill it"
    raise StackError(message)


def _holder(data: Path) -> int | None:
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    # The number may long belong to another process.
    command = _command_of(pid)
    return pid if "postgres" in command and str(data) in command else None


def _command_of(pid: int) -> str:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return ""
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
