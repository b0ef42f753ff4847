"""Files of a tenant, in S3 or in a folder: read and written piece by piece, written whole or not.

What a task names wrongly ends it (GiveUp); a place that is out of reach is worth another attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp
from chalicelib.files.folder import FolderFiles
from chalicelib.files.names import FileName, checked_name
from chalicelib.files.reading import Reading
from chalicelib.files.s3 import S3Files

if TYPE_CHECKING:
    from collections.abc import Callable

Files = FolderFiles | S3Files

__all__ = ["FileName", "Files", "Reading", "checked_name", "files_of"]


def files_of(place: str, tenant: str, s3: Callable[[], Any]) -> Files:
    """Return the files of a tenant in ``place``, the setting FILES.

    ``s3`` returns a boto3 client and is called if the files are in S3. Raises GiveUp if the setting
    is empty.
    """
    if not place:
        raise GiveUp("This service keeps no files: its setting FILES is empty.")
    if place.startswith("s3://"):
        return S3Files(s3(), place, tenant)
    return FolderFiles(place, tenant)
