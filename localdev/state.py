"""What a data folder knows of the running stack: a lock, and how to reach it."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_FOLDER = ".local"
_CHOOSE = "choose another: --data FOLDER"


@dataclass(frozen=True)
class Running:
    """The running stack: its process, its URL, and the variables that reach its parts."""

    process: int
    url: str
    environ: dict[str, str]
    psql: str


def prepare(folder: Path) -> None:
    """Make the data folder, closed to other accounts. Raises StackError, with the cure."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = folder.stat().st_uid == os.geteuid()
        if ours and any(folder.iterdir()) and not (folder / "lock").exists():
            raise StackError(f"{folder} holds something else; {_CHOOSE}")
        folder.chmod(0o700)
    except (FileExistsError, NotADirectoryError):
        raise StackError(f"{folder} is, or lies in, a file; {_CHOOSE}") from None
    except OSError as error:
        raise StackError(_refused(folder, error)) from None


@contextmanager
def locked(folder: Path, url: str) -> Iterator[None]:
    """Hold the folder's lock; it ends with the process, however that ends.

    Raises StackError saying who holds it.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(_refused(folder, error)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process, _, where = os.read(descriptor, 200).decode().partition(" ")
        os.close(descriptor)
        message = (
            f"already running at {where} (process {process}); "
            f"stop it with Ctrl-C there, or: kill {process}"
        )
        raise StackError(message) from None
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {url}".encode())
        yield
    finally:
        os.close(descriptor)


def write(folder: Path, running: Running) -> None:
    """Let other commands know of the running stack."""
    temporary = folder / "state.new"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(running), file, indent=2)
    temporary.rename(folder / "state.json")


def left_behind(folder: Path) -> bool:
    """Tell whether the last stack of this folder was killed; ask only with the lock held."""
    return (folder / "state.json").exists()


def forget(folder: Path) -> None:
    """Note that nothing runs any more."""
    (folder / "state.json").unlink(missing_ok=True)


def read(folder: Path) -> Running:
    """Return the running stack. Raises StackError, with the cure, if nothing runs."""
    if _is_locked(folder):
        try:
            text = (folder / "state.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            message = "the stack is still starting; try again in a moment"
            raise StackError(message) from None
        return Running(**json.loads(text))
    message = f"nothing runs in {folder}; start it first: scripts/dev.sh"
    raise StackError(message)


def _is_locked(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StackError(_refused(folder, error)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _refused(folder: Path, error: OSError) -> str:
    # The file that was refused, or the nearest above it that there is to look at.
    named = Path(error.filename or folder)
    found = next((path for path in (named, *named.parents) if _owner(path)), folder)
    if not isinstance(error, PermissionError):
        return f"{folder} cannot be used ({error.strerror}); {_CHOOSE}"
    if found != named:
        return f"{named} cannot be made: {found} is not yours to write in; {_CHOOSE}"
    cure = f"make it yours: sudo chown -R $USER {folder}"
    return f"{found} belongs to {_owner(found)}; {cure}, or {_CHOOSE}"


def _owner(path: Path) -> str:
    try:
        number = path.stat().st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"account {number}"
