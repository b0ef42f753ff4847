"""Many tasks, cut into as few requests as the service allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks_client import inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks_client.inputs import NewTask

MOST_TASKS = 1000  #: of one request
MOST_BYTES = 5 * 1024 * 1024  #: of one request's body

_OPEN, _BETWEEN, _CLOSE = b'{"tasks":[', b",", b"]}"


def bodies(tasks: Iterable[NewTask]) -> Iterator[bytes]:
    """Yield bodies of batches, in order; a task that is too large is alone in one.

    ``tasks`` is read as it is needed. Raises as ``inputs.body`` does.
    """
    entries: list[bytes] = []
    size = len(_OPEN) + len(_CLOSE)
    for task in tasks:
        entry = inputs.body(task)
        full = len(entries) == MOST_TASKS or size + len(entry) + len(_BETWEEN) > MOST_BYTES
        if entries and full:
            yield _joined(entries)
            entries, size = [], len(_OPEN) + len(_CLOSE)
        entries.append(entry)
        size += len(entry) + len(_BETWEEN)
    if entries:
        yield _joined(entries)


def _joined(entries: list[bytes]) -> bytes:
    return _OPEN + _BETWEEN.join(entries) + _CLOSE
