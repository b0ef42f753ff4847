"""Environments beside .venv, for what is big or foreign: .venv.NAME, of requirements-NAME.txt."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

from localdev.errors import StackError
from localdev.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def python_of(name: str) -> Path:
    """Return the Python of .venv.NAME, which has just what requirements-NAME.txt lists.

    It is of the same version as the one that runs, and is made if it is not there. Raises
    StackError if there is no such list, or if its packages cannot be installed.
    """
    listed = ROOT / f"requirements-{name}.txt"
    folder = ROOT / f".venv.{name}"
    if not listed.exists():
        raise StackError(f"there is no {listed.name}")
    wanted = hashlib.sha256(listed.read_bytes() + sys.version.encode()).hexdigest()
    with _alone(listed):
        if not _is_installed(folder, wanted):
            say(f"Preparing {folder.name} (once; about a minute) ...")
            _install(folder, listed)
            # Last, so that an interrupted installation is begun anew.
            (folder / "installed").write_text(wanted, encoding="utf-8")
    return folder / "bin" / "python"


def say(text: str) -> None:
    """Tell whoever waits; standard output is kept for answers."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main(arguments: Sequence[str]) -> int:
    """Make the environments that are named. Raises StackError."""
    for name in arguments:
        python_of(name)
    return 0


def _is_installed(folder: Path, wanted: str) -> bool:
    with contextlib.suppress(OSError):
        return (folder / "installed").read_text(encoding="utf-8") == wanted
    return False


def _install(folder: Path, listed: Path) -> None:
    (folder / "installed").unlink(missing_ok=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    venv: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
    for command in (venv, [*pip, "--require-hashes", "-r", listed]):
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise StackError(f"{folder.name} could not be made:\n{done.stderr.strip()}")


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    # One at a time, however many are started at once; the lock ends with the process.
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
