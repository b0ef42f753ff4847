"""What a file may be called in a payload: a path below the tenant's own files."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

#: The longest name, in bytes of UTF-8; S3 knows keys of 1,024, and the prefix is some of them.
MAX_NAME = 500
#: The longest part between two slashes, in bytes: what file systems take, and room for a suffix.
MAX_PART = 200


def checked_name(name: str) -> str:
    """Return a file's name as it is; raises ValueError, saying why it is none."""
    if not name.isprintable():
        raise ValueError("must not contain control characters")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"must not take more than {MAX_NAME} bytes")
    if "\\" in name:
        raise ValueError("has its parts between slashes, not backslashes")
    for part in name.split("/"):
        if not part:
            raise ValueError("must not begin or end with a slash, nor have two in a row")
        if part.startswith("."):
            raise ValueError("must not have a part that begins with a dot")
        if len(part.encode()) > MAX_PART:
            raise ValueError(f"must not have a part of more than {MAX_PART} bytes")
    return name


FileName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME, description="A path below the tenant's own files."),
    AfterValidator(checked_name),
]
