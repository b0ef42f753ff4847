"""A file for reading, as Python's buffers want it, of anything that has ``read``."""

from __future__ import annotations

import io
from typing import Any


class Reading(io.RawIOBase):
    """What is read of a file; ``count`` tells how many bytes that are so far."""

    def __init__(self, file: Any) -> None:
        """Take what has ``read``; it is not closed."""
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        """Say that it is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of ``buffer`` and return how many bytes that were; 0 at the end."""
        data: bytes = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)
