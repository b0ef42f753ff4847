"""Cuts lists into pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib import moments
from chalicelib.errors import InvalidRequest
from chalicelib.queue import MAX_ID
from chalicelib.schemas import TaskPage, TaskView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from chalicelib.store import Found

#: A page holds no more, in bytes: a Lambda function's answer may have six million.
#: Source: AWS Lambda Developer Guide, "Lambda quotas".
MAX_PAGE_BYTES = 4 * 1024 * 1024

_CURSOR = re.compile(r"before-([0-9]{1,16})-([0-9]{1,19})")


def page(found: Sequence[Found], limit: int) -> TaskPage:
    """Make a page of at most ``limit`` tasks; one more than that tells that there are more."""
    items = list(_fitting([TaskView.of(one.task, one.wait) for one in found[:limit]]))
    more = len(found) > len(items)
    return TaskPage(items=items, next_cursor=_cursor(items[-1]) if more else None)


def read_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the time of creation and the id of the task that the next page begins after.

    Raises InvalidRequest for a foreign cursor.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        rule = {"parameter": "cursor", "detail": "is not a next_cursor of this API"}
        raise InvalidRequest.naming([rule])
    return moments.from_number(int(found[1])), min(int(found[2]), MAX_ID)


def _cursor(last: TaskView) -> str:
    return f"before-{moments.to_number(last.created_at)}-{last.id}"


def _fitting(views: list[TaskView]) -> Iterator[TaskView]:
    # The first always; a client goes on at the cursor.
    total = 0
    for view in views:
        size = len(view.model_dump_json().encode())
        if total and total + size > MAX_PAGE_BYTES:
            return
        total += size
        yield view
