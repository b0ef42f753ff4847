"""Judges a soak by what the clients were told and what the database itself wrote down.

It shares no code with the service, nor its idea of what a legal move is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Query = Callable[..., list[tuple[Any, ...]]]

_EXAMPLES = 5

LOST = "an acknowledged task has its row"
UNCANCELLED = "a task that was said to be cancelled is"
STUCK = "every task came to an end"
TWICE = "at most one result was committed for a task"
REOPENED = "what was finished stayed as it was"
STALE = "a result names the attempt that its row tells of"
RUN = "a result comes from a run that left its effect"
LIMIT = "no task had more attempts than it may"
FELL = "the number of attempts never fell"
SHARED = "no attempt was given to two workers"
OVERRUN = "no task began beyond the limits of its kind"
DRAINED = "no message is left on the queue"
ALIVE = "no process ended by itself"
LETTERS = "every failed task has one dead letter, and no other task has any"

# Each finds the ids of the tasks that break the rule.
_RULES = {
    LOST: "select id from unnest(%(told)s::bigint[]) t (id) where id not in (select id from tasks)",
    UNCANCELLED: """
        select id from unnest(%(cancelled)s::bigint[]) c (id)
         where id not in (select id from tasks where status = 'cancelled')""",
    STUCK: "select id from tasks where status not in ('completed', 'failed', 'cancelled')",
    TWICE: """
        select task_id from moves where new_status = 'completed' and new_result is not null
         group by task_id having count(*) > 1""",
    REOPENED: """
        select distinct task_id from moves
         where old_status in ('completed', 'failed', 'cancelled')""",
    STALE: """
        select id from tasks where status = 'completed'
           and (result ->> 'task', result ->> 'attempt')
               is distinct from (id::text, attempt::text)
        union
        select task_id from moves where new_status = 'completed'
           and (new_result ->> 'task', new_result ->> 'attempt')
               is distinct from (task_id::text, new_attempt::text)""",
    RUN: """
        select t.id from tasks t
          left join effects e on e.run::text = t.result ->> 'run' and e.task_id = t.id
         where t.status = 'completed' and e.run is null""",
    LIMIT: """
        select id from tasks
         where attempt > attempt_limit or attempt_limit - release_count > %(limit)s""",
    OVERRUN: "select distinct task_id from overruns",
    FELL: "select distinct task_id from moves where new_attempt < old_attempt",
    SHARED: """
        select task_id from moves where new_status = 'processing' and new_attempt > old_attempt
         group by task_id, new_attempt having count(*) > 1""",
}


@dataclass(frozen=True)
class Finding:
    """One rule, how many tasks (or messages) break it, and the ids of some."""

    rule: str
    violations: int
    examples: Sequence[int] = ()


@dataclass(frozen=True)
class Tally:
    """What there was to judge, in numbers."""

    acknowledged: int
    rows: int
    statuses: dict[str, int]
    failures: dict[str, int]
    endings: dict[str, int]
    attempts: dict[int, int]
    runs: dict[int, int]
    released: int


@dataclass(frozen=True)
class Letters:
    """Failed tasks, dead letters, and in how far they are not the same set."""

    failed: int
    letters: int
    missing: int
    foreign: int
    second: int

    @property
    def wrong(self) -> int:
        """How many are missing or too many."""
        return self.missing + self.foreign + self.second


def judge(query: Query, told: Sequence[int], cancelled: Sequence[int], limit: int) -> list[Finding]:
    """Hold every rule against the database.

    ``told`` are the acknowledged ids, ``cancelled`` those that were said to be cancelled;
    ``limit`` is how many attempts a task may have, those aside that were given back.
    """
    findings = []
    for rule, statement in _RULES.items():
        ids = [row[0] for row in query(statement, told=told, cancelled=cancelled, limit=limit)]
        findings.append(Finding(rule, len(ids), sorted(ids)[:_EXAMPLES]))
    return findings


def tally(query: Query, told: Sequence[int]) -> Tally:
    """Count the tasks."""
    return Tally(
        acknowledged=len(told),
        rows=query("select count(*) from tasks")[0][0],
        statuses=dict(query("select status, count(*) from tasks group by 1 order by 1")),
        failures=dict(
            query(
                "select coalesce(error ->> 'code', '-'), count(*) from tasks"
                " where status = 'failed' group by 1 order by 1"
            )
        ),
        endings=dict(
            query(
                "select coalesce(one -> 'error' ->> 'code', '-'), count(*)"
                " from tasks, jsonb_array_elements(attempts) one group by 1 order by 1"
            )
        ),
        attempts=dict(query("select attempt, count(*) from tasks group by 1 order by 1")),
        runs=dict(
            query(
                "select runs, count(*) from (select count(*) as runs from effects"
                " group by task_id) as e group by 1 order by 1"
            )
        ),
        released=query("select coalesce(sum(release_count), 0)::int from tasks")[0][0],
    )


def compare_letters(query: Query, letters: Sequence[int]) -> Letters:
    """Compare the task ids of the dead letters with the failed tasks."""
    failed = {row[0] for row in query("select id from tasks where status = 'failed'")}
    good = [one for one in letters if one in failed]
    return Letters(
        failed=len(failed),
        letters=len(letters),
        missing=len(failed - set(good)),
        foreign=len(letters) - len(good),
        second=len(good) - len(set(good)),
    )
