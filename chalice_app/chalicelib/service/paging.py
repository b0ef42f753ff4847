"""Cuts lists into pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel

from chalicelib import moments
from chalicelib.errors import InvalidRequest
from chalicelib.queue import MAX_ID
from chalicelib.schemas import TaskPage, TaskView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.store import Found, Place

View = TypeVar("View", bound=BaseModel)
Direction = Literal["before", "after"]

#: A page holds no more, in bytes: a Lambda function's answer may have six million.
#: Source: AWS Lambda Developer Guide, "Lambda quotas".
MAX_PAGE_BYTES = 4 * 1024 * 1024

_CURSOR = re.compile(r"(before|after)-([0-9]{1,16})-([0-9]{1,19})")


def page(found: Sequence[Found], limit: int, stopped: Place | None) -> TaskPage:
    """Make a page of at most ``limit`` tasks; one more than that tells that there are more.

    So does ``stopped``, the place at which nobody looked further.
    """
    items = list(fitting([TaskView.of(one.task, one.wait) for one in found[:limit]]))
    if len(found) > len(items):
        stopped = items[-1].created_at, items[-1].id
    return TaskPage(items=items, next_cursor=write_cursor("before", stopped))


def write_cursor(direction: Direction, place: Place | None) -> str | None:
    """Return the cursor of a page that begins before, or after, a place; None if there is none."""
    return place and f"{direction}-{moments.to_number(place[0])}-{place[1]}"


def read_cursor(direction: Direction, cursor: str | None, **where: str) -> Place | None:
    """Return the place of a cursor, if there is one.

    Raises InvalidRequest for one that is foreign, or of the other direction; ``where`` it was.
    """
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None or found[1] != direction:
        raise InvalidRequest.naming([where | {"detail": "is not a next_cursor of this call"}])
    return moments.from_number(int(found[2])), min(int(found[3]), MAX_ID)


def fitting(views: list[View]) -> Iterator[View]:
    """Yield as many as an answer may hold, but one at least; a client goes on at the cursor."""
    total = 0
    for view in views:
        size = len(view.model_dump_json().encode())
        if total and total + size > MAX_PAGE_BYTES:
            return
        total += size
        yield view
