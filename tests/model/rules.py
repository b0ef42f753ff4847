"""What must never happen to a task, whoever does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model.rows import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.rows import Row

FINAL_CHANGED = "a final task changes without being asked to"
TOO_MANY = "a task has more attempts than its limit"
UNDER_LEASE = "somebody ends an attempt whose lease is alive"
COUNTED = "a task fails for want of attempts, and has some"
IN_COMPANY = "a crash in company is held against the task"
RELEASED_AGAIN = "a crash of a suspect is not held against it"
# These are seen where they happen, not in the row:
STALE = "a stale attempt writes over a newer one"
LAST_RECEIVE = "the message of a waiting task is left to be dead-lettered"
TWICE = "an effect inside the task's transaction happens twice"

NONE: frozenset[str] = frozenset()
#: Rules that do not bind the holder of the token, a decision to fail, a client's wish.
HOLDER = frozenset({UNDER_LEASE, IN_COMPANY, RELEASED_AGAIN})
DECISION = frozenset({COUNTED})
WISH = frozenset({FINAL_CHANGED})


def broken_by(before: Row | None, after: Row | None, exempt: frozenset[str]) -> str | None:
    """Return the first rule that turning one row into another breaks."""
    if before is None or before == after:
        return None
    return next((rule for rule in _broken(before, after) if rule not in exempt), None)


def _broken(before: Row, after: Row | None) -> Iterator[str]:
    if before.status in FINAL:
        yield FINAL_CHANGED
    if after is not None:
        yield from _by_attempts(before, after)
        if before.status == "processing" and after.status != "cancelled":
            yield from _by_crashes(before, after)


def _by_attempts(before: Row, after: Row) -> Iterator[str]:
    if after.attempt > after.limit or after.spare < 0:
        yield TOO_MANY
    if before.live and (after.status != "processing" or after.attempt != before.attempt):
        yield UNDER_LEASE
    if after.status == "failed" and after.spare > 0:
        yield COUNTED


def _by_crashes(before: Row, after: Row) -> Iterator[str]:
    if before.shared and after.spare < before.spare:
        yield IN_COMPANY
    if before.suspect and after.limit > before.limit:
        yield RELEASED_AGAIN
