"""Cuts lists into pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib.errors import InvalidRequest
from chalicelib.queue import MAX_ID
from chalicelib.schemas import TaskPage, TaskView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.store import Found

#: A page holds no more, in bytes: a Lambda function's answer may have six million.
#: Source: AWS Lambda Developer Guide, "Lambda quotas".
MAX_PAGE_BYTES = 4 * 1024 * 1024

_CURSOR = re.compile(r"before-([0-9]{1,19})")


def page(found: Sequence[Found], limit: int) -> TaskPage:
    """Make a page of at most ``limit`` tasks; one more than that tells that there are more."""
    items = list(_fitting([TaskView.of(one.task, one.wait) for one in found[:limit]]))
    more = len(found) > len(items)
    return TaskPage(items=items, next_cursor=f"before-{items[-1].id}" if more else None)


def read_cursor(cursor: str) -> int:
    """Return the id that the next page begins below; raises InvalidRequest for a foreign cursor."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        rule = {"parameter": "cursor", "detail": "is not a next_cursor of this API"}
        raise InvalidRequest.naming([rule])
    return min(int(found[1]), MAX_ID)


def _fitting(views: list[TaskView]) -> Iterator[TaskView]:
    # The first always; a client goes on at the cursor.
    total = 0
    for view in views:
        size = len(view.model_dump_json().encode())
        if total and total + size > MAX_PAGE_BYTES:
            return
        total += size
        yield view
