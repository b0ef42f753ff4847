"""What each command does; each returns its exit status."""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from tasks_client import IllegalMove, Status, TaskNotFound, TasksError
from tasks_client.calls import MOST_LISTED
from tasks_client.cli.output import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from tasks_client import Client
    from tasks_client.cli.output import Output

DONE, UNSUCCESSFUL, WRONG_USE, NOT_DONE, NOT_IN_TIME = 0, 1, 2, 3, 4
_NEW = ("description", "kind", "payload", "tags", "run_at", "delay", "expires_at", "priority")
_UNIQUE = ("unique_key", "unique_scope", "idempotency_key")
_FILTERS = ("status", "kind", "tag", "created_after", "created_before", "text")


def create(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Create a task; if it was waited for, what became of it makes the status."""
    given = _given(options, (*_NEW, *_UNIQUE))
    task = client.create(options.title, wait=options.wait, **given)
    output.task(task)
    if not options.wait or task.succeeded:
        return DONE
    return UNSUCCESSFUL if task.is_final else NOT_IN_TIME


def get(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Show a task."""
    output.whole(client.get(options.id))
    return DONE


def list_(client: Client, options: argparse.Namespace, output: Output) -> int:
    """List tasks."""
    given = _given(options, _FILTERS)
    whole_pages = itertools.islice(client.iterate(**given), options.limit)
    one_page = options.limit <= MOST_LISTED
    for task in client.list(limit=options.limit, **given).items if one_page else whole_pages:
        output.task(task)
    return DONE


def wait(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Wait for tasks; those that did not succeed are shown and make the status."""
    from tasks_client.cli.progress import Bar  # noqa: PLC0415  (only here is it needed)

    if bool(options.ids) == (options.tag is not None):
        return _complain("give IDs or --tag", WRONG_USE)
    with Bar() as bar:
        tasks = client.wait_all(
            options.ids or None, tag=options.tag, timeout=options.timeout, on_progress=bar.show
        )
    if not tasks:
        return _complain(f"no task has the tag {options.tag!r}", NOT_DONE)
    counts = Counter(task.status for task in tasks)
    told = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    output.say(f"{len(tasks)} {'task' if len(tasks) == 1 else 'tasks'}: {told}")
    for task in tasks:
        if not task.succeeded or options.json:
            output.task(task)
    return DONE if all(task.succeeded for task in tasks) else UNSUCCESSFUL


def cancel(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Cancel tasks."""
    return _each(options.ids, lambda task_id: output.task(client.cancel(task_id)))


def retry(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Retry tasks, by id or by filter."""
    given = _given(options, (*_FILTERS, "limit"))
    if bool(options.ids) == bool(given):
        return _complain("give IDs, or say which by --status, --kind, --tag, ...", WRONG_USE)
    if options.ids:
        return _each(options.ids, lambda task_id: output.task(client.retry(task_id)))
    limit = given.pop("limit", None)
    ids, cursor, more = _retry_pages(client, given, limit)
    output.dump({"ids": ids, "more": more, "next_cursor": cursor})
    output.say(f"{len(ids)} retried{'; there may be more' if more else ''}")
    return DONE


def _retry_pages(
    client: Client, given: dict[str, Any], limit: int | None
) -> tuple[list[int], str | None, bool]:
    ids: list[int] = []
    cursor = None
    while True:
        left = None if limit is None else limit - len(ids)
        retried = client.retry_many(**given, limit=left, cursor=cursor)
        ids += retried.ids
        cursor = retried.next_cursor
        if cursor is None or len(ids) == limit:
            return ids, cursor, retried.more


def delete(client: Client, options: argparse.Namespace, _output: Output) -> int:
    """Delete tasks."""
    return _each(options.ids, client.delete)


def attempts(client: Client, options: argparse.Namespace, output: Output) -> int:
    """Show a task's attempts."""
    for attempt in client.attempts(options.id):
        output.attempt(attempt)
    return DONE


COMMANDS: dict[str, Callable[[Client, argparse.Namespace, Output], int]] = {
    "create": create,
    "get": get,
    "list": list_,
    "wait": wait,
    "cancel": cancel,
    "retry": retry,
    "delete": delete,
    "attempts": attempts,
}


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _each(ids: Iterable[int], act: Callable[[int], Any]) -> int:
    status = DONE
    for task_id in ids:
        try:
            act(task_id)
        except (IllegalMove, TaskNotFound) as error:  # the others' matter no less
            status = _complain(_told(task_id, error), NOT_DONE)
    return status


def _told(task_id: int, error: TasksError) -> str:
    # What the service says may name the task and its status; its wording is its own.
    text = str(error)
    current = error.current if isinstance(error, IllegalMove) else None
    if current and current not in text:
        text += f" It is {current}."
    named = re.search(rf"\btask {task_id}\b", text, re.IGNORECASE)
    return text if named else f"task {task_id}: {text}"


def _complain(text: str, status: int) -> int:
    print(f"tasks: {printable(text)}", file=sys.stderr)  # noqa: T201
    return status
