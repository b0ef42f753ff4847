"""What no description of the API can tell a generator of requests; loaded by schemathesis."""

from __future__ import annotations

import re
import uuid
from typing import Any

import schemathesis

from chalicelib.errors import InvalidRequest
from chalicelib.service.paging import Direction, read_cursor
from chalicelib.web.openapi import operations

_KEY = re.compile(operations.PARAMETERS["Idempotency-Key"]["schema"]["pattern"])
_LONGEST_CURSOR = 100  # characters


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001
    """Mend what is wrong with a request that the description allows.

    A key that another request had is rightly refused; so is a cursor that was not handed out.
    A long wait is no fault, but takes the run's time.
    """
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        headers["Idempotency-Key"] = f'"{uuid.uuid4().hex}"'
    sides: list[tuple[Direction, Any]] = [("before", case.query), ("after", case.body)]
    for direction, sent in sides:
        cursor = sent.get("cursor") if isinstance(sent, dict) else None
        if isinstance(cursor, str) and _is_foreign(direction, cursor):
            del sent["cursor"]
    if str(headers.get("Prefer", "")).startswith("wait="):
        headers["Prefer"] = "wait=1"


def _is_foreign(direction: Direction, cursor: str) -> bool:
    if len(cursor) > _LONGEST_CURSOR:
        return False  # refused for its length, as described
    try:
        read_cursor(direction, cursor)
    except InvalidRequest:
        return True
    return False
