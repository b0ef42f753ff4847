"""What no description of the API can tell a generator of requests; loaded by schemathesis."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import schemathesis
from pydantic import ValidationError

from chalicelib.errors import InvalidRequest
from chalicelib.handlers import registry
from chalicelib.occurrences import check_cron, check_zone
from chalicelib.schemas import NewTask
from chalicelib.service.paging import Direction, read_cursor
from chalicelib.web.openapi import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(operations.PARAMETERS["Idempotency-Key"]["schema"]["pattern"])
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_TIMES = ("run_at", "delay_seconds", "expires_at")
#: Those of the stack that is asked: it has the README's handler, too.
_KINDS = [*registry.kinds, "greet"]
_LONGEST_CURSOR = 100  # characters


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001
    """Mend what is wrong with a request that the description allows.

    A key that another request had is rightly refused; so is a cursor that was not handed out, an
    expiry that is over before the task can begin, a payload that does not fit its kind, which
    GET /kinds describes, a schedule whose name is taken and what is no cron expression and no time
    zone. A long wait is no fault, but takes the run's time.
    """
    _mend_tasks(case)
    _mend_schedule(case.body)
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


def _mend_tasks(case: Any) -> None:
    for task in _tasks(case.body):
        if _is_over(task):
            task["expires_at"] = None
        if task.get("kind") in _KINDS and not _fits(task):
            task["kind"] = "default"
    if case.method.upper() == "PATCH" and isinstance(case.body, dict) and "payload" in case.body:
        # Of a webhook, which the service made itself, it would not fit.
        del case.body["payload"]
        case.body.setdefault("title", "x")


def _mend_schedule(body: Any) -> None:
    if not isinstance(body, dict):
        return
    for name, check, right in (("cron", check_cron, "* * * * *"), ("time_zone", check_zone, "UTC")):
        if isinstance(body.get(name), str):
            try:
                check(body[name])
            except ValueError:
                body[name] = right
    if isinstance(body.get("name"), str) and _NAME.fullmatch(body["name"]):
        body["name"] = uuid.uuid4().hex


def _tasks(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        yield body
        yield from ([body["task"]] if isinstance(body.get("task"), dict) else ())
        inner = body.get("tasks")
        yield from (
            (one for one in inner if isinstance(one, dict)) if isinstance(inner, list) else ()
        )


def _is_over(task: dict[str, Any]) -> bool:
    """Tell whether a task expires before it begins; False if a time is wrong."""
    times = {name: value for name, value in task.items() if name in _TIMES}
    text = json.dumps({"title": "x"} | times)
    try:
        NewTask.model_validate_json(text)
    except ValidationError as error:
        return any(one["msg"].endswith("must be after run_at") for one in error.errors())
    return False


def _fits(task: dict[str, Any]) -> bool:
    """Tell whether a payload fits its kind; False for the README's, which is not known here."""
    if task["kind"] not in registry.kinds:
        return False
    try:
        registry.read(task["kind"], task.get("payload"))
    except (ValidationError, ValueError):
        return not isinstance(task.get("payload"), dict | None)  # described as wrong
    return True


def _is_foreign(direction: Direction, cursor: str) -> bool:
    if len(cursor) > _LONGEST_CURSOR:
        return False  # refused for its length, as described
    try:
        read_cursor(direction, cursor, parameter="cursor")
    except InvalidRequest:
        return True
    return False
