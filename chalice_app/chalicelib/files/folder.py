"""A tenant's files in a folder of this machine."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp
from chalicelib.files.names import checked_name

if TYPE_CHECKING:
    from collections.abc import Iterator


class FolderFiles:
    """The folder ``root`` has one for each tenant."""

    def __init__(self, root: str, tenant: str) -> None:
        """Take the absolute path of the folder, and whose files are meant."""
        self._home = Path(root).resolve() / tenant

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[tuple[Any, int]]:
        """Open a file for reading, and tell its size in bytes. Raises GiveUp if there is none."""
        path = self._path(name)
        if not path.is_file():
            raise GiveUp(f"There is no file {name!r}.")
        with path.open("rb") as file:
            yield file, path.stat().st_size

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[Any]:
        """Open a file for writing: it appears when the block ends well, and replaces an older one.

        Raises GiveUp where a folder has that name.
        """
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise GiveUp(f"A part of {name!r} is a file.") from None
        if path.is_dir():
            raise GiveUp(f"{name!r} is a folder.")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
            unfinished = Path(file.name)
            try:
                yield file
                file.flush()
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise

    def _path(self, name: str) -> Path:
        # A link could lead out.
        path = (self._home / checked_name(name)).resolve()
        if not path.is_relative_to(self._home):
            raise GiveUp(f"There is no file {name!r}.")
        return path
