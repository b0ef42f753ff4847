"""The row of a task and the statements that change it, with guards that can be weakened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

FINAL = frozenset({"completed", "failed", "cancelled"})
WAITING = frozenset({"pending", "retrying"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The guards of the protocol; the defaults are ours, everything else is weaker."""

    #: Who may settle: the holder of the "token", or whoever finds the row there ("id"),
    #: processing ("status"), not final ("open"), with a living "lease", or at its "attempt".
    settle: str = "token"
    #: Whether a claim looks at the row at all.
    claim_looks: bool = True
    rescue_needs_lost_lease: bool = True
    retry_keeps_attempt: bool = True
    release_raises_limit: bool = True
    suspects_are_alone: bool = True
    suspects_are_released_once: bool = True
    last_receive_is_given_up: bool = True
    has_sweeper: bool = True
    #: Somebody calls what is parked, once there is room for it.
    parked_are_called: bool = True
    #: "outbox", "mark failed" (commit, send, fail the task if sending failed) or "send first".
    create: str = "outbox"
    #: With ENQUEUE_FAILURE=fail, a task that nobody has begun fails when it cannot be sent.
    fails_unsent: bool = False
    #: Something reads the dead-letter queue and fails the tasks it finds there.
    fails_dead_letters: bool = False


class Row(NamedTuple):
    """One task, as far as the protocol looks at it; times are only past or not.

    ``due``: run_at is reached. ``unsent``: dispatch_after is -infinity. ``shared``: claimed with
    others. ``parked``: there is no room for it, and dispatch_after is infinity. ``spare`` is
    nobody's column: the attempts that the task may still lose.
    """

    status: str = "pending"
    attempt: int = 0
    limit: int = 1
    live: bool = False
    due: bool = True
    unsent: bool = False
    cancel: bool = False
    shared: bool = False
    suspect: bool = False
    parked: bool = False
    spare: int = 1


def ended(row: Row, status: str) -> Row:
    """Leave processing or waiting for a final status."""
    row = row._replace(status=status, live=False, due=True, unsent=False, shared=False)
    return row._replace(parked=False)


def _given_back(design: Design, row: Row) -> Row:
    return row._replace(limit=row.limit + design.release_raises_limit, shared=False)


def _counted(row: Row) -> Row:
    return row._replace(spare=row.spare - 1, shared=False)


def is_given_back(design: Design, row: Row) -> bool:
    """Whether a crash of this attempt is not held against the task: others shared its lease."""
    return row.shared and not (row.suspect and design.suspects_are_released_once)


def _verdict(design: Design, row: Row, *, mine: bool, alone: bool) -> str:
    if not design.claim_looks:
        return "claim"
    if row.status in FINAL:
        return "final"
    if row.status == "processing" and (mine or row.live):
        return "mine" if mine else "busy"
    return "cancel" if row.cancel else _verdict_on_free(design, row, alone=alone)


def _verdict_on_free(design: Design, row: Row, *, alone: bool) -> str:
    processing = row.status == "processing"
    if not processing and not row.due:
        return "early"
    if processing and is_given_back(design, row):
        return "suspect"
    if row.attempt >= row.limit:
        return "exhaust"
    apart = row.suspect and design.suspects_are_alone and not alone
    return "apart" if apart else "claim"


def claim_tasks(
    design: Design, row: Row, *, mine: bool, shared: bool, alone: bool
) -> tuple[str, Row]:
    """Return the verdict on the row and the row after it."""
    verdict = _verdict(design, row, mine=mine, alone=alone)
    lost = _counted(row) if row.status == "processing" else row
    match verdict:
        case "claim":
            row = _begun(lost if design.claim_looks else row, shared=shared)
        case "cancel":
            row = ended(lost, "cancelled")
        case "exhaust":
            row = ended(lost, "failed")
        case "suspect":
            row = _given_back(design, row)._replace(status="retrying", suspect=True)
    return verdict, row


def _begun(row: Row, *, shared: bool) -> Row:
    return row._replace(
        status="processing",
        attempt=row.attempt + 1,
        live=True,
        due=True,
        unsent=False,
        shared=shared,
        parked=False,
    )


def park(row: Row) -> Row:
    """Hold back a task that a claim would take: there is no room for it."""
    if row.status == "processing":
        row = _counted(row)._replace(status="retrying")
    return row._replace(live=False, unsent=False, parked=True)


def call_parked(row: Row) -> Row:
    """Let a parked task be sent."""
    return row._replace(parked=False)


def mark_unsent(row: Row) -> Row:
    """Note that a waiting task has no message; a parked one is to have none."""
    return row._replace(unsent=True) if row.status in WAITING and not row.parked else row


def may_settle(design: Design, row: Row, *, mine: bool, attempt: int) -> bool:
    """Whether the guard of settle_attempts lets the writer through."""
    processing = row.status == "processing"
    match design.settle:
        case "id":
            return True
        case "status":
            return processing
        case "open":
            return row.status not in FINAL
        case "lease":
            return processing and row.live
        case "attempt":
            return processing and row.attempt == attempt
        case _:
            return processing and mine


def settle_attempts(design: Design, row: Row, outcome: str, *, unsent: bool) -> Row:
    """Write an outcome (completed, failed, retry, release) that the guard let through."""
    row = _given_back(design, row) if outcome == "release" else _counted(row)
    if outcome in FINAL:
        return ended(row, outcome)
    if row.cancel:
        return ended(row, "cancelled")
    if row.attempt >= row.limit and outcome == "retry":
        return ended(row, "failed")
    return row._replace(status="retrying", live=False, due=False, unsent=unsent)


def may_rescue(design: Design, row: Row) -> bool:
    """Whether the guard of rescue_tasks lets the sweeper take the row."""
    return row.status == "processing" and not (row.live and design.rescue_needs_lost_lease)


def rescue_tasks(design: Design, row: Row) -> Row:
    """End an attempt whose lease ran out."""
    if row.cancel:
        return ended(_counted(row), "cancelled")
    if is_given_back(design, row):
        row = _given_back(design, row)._replace(suspect=True)
    elif row.attempt >= row.limit:
        return ended(_counted(row), "failed")
    else:
        row = _counted(row)
    return row._replace(status="retrying", live=False, due=True, unsent=True)


def cancel_task(row: Row) -> Row | None:
    """Cancel a waiting task, or ask the holder of a processing one to stop."""
    if row.status in WAITING:
        return ended(row, "cancelled")._replace(cancel=True)
    if row.status == "processing" and not row.cancel:
        return row._replace(cancel=True)
    return None


def retry_task(design: Design, row: Row, more: int) -> Row | None:
    """Give a failed or cancelled task ``more`` attempts."""
    if row.status not in {"failed", "cancelled"}:
        return None
    attempt = row.attempt if design.retry_keeps_attempt else 0
    return row._replace(
        status="pending", attempt=attempt, limit=attempt + more, spare=more, cancel=False
    )
