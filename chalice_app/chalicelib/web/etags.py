"""Entity tags (RFC 9110, 8.8.3): a task's is the time of its last change, in microseconds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib import moments

if TYPE_CHECKING:
    from datetime import datetime

_TAG = re.compile(r'(W/)?"([0-9a-f]{1,14})"')


def etag(version: datetime) -> str:
    """Return the entity tag of a version."""
    return f'"{moments.to_number(version):x}"'


def versions(header: str | None, *, weak: bool = True) -> list[datetime] | None:
    """Read If-Match or If-None-Match; None if there is none, or ``*``.

    Tags that are not ours fit no version. A weak tag stands for the version that it was made of, a
    proxy that compresses weakens it; not so for If-Match (RFC 9110, 13.1.1), without ``weak``.
    """
    if header is None or header.strip() == "*":
        return None
    found = _TAG.findall(header)
    return [moments.from_number(int(tag, 16)) for mark, tag in found if weak or not mark]


def names(header: str | None, tag: str) -> bool:
    """Tell whether If-None-Match names the tag, weak or not, or any by ``*`` (RFC 9110, 13.1.2)."""
    return header is not None and (header.strip() == "*" or tag in header)
