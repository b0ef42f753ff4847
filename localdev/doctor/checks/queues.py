"""The queue and its dead-letter queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localdev.doctor.finding import Check, NotKnownError, fine, known, wrong
from localdev.seed import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note

DAY = 24 * 60 * 60
_QUEUE, _HIGH, _DEAD = "queue", "high_queue", "dead_letter_queue"


def _exist(facts: Facts) -> Iterator[Note]:
    plan = Plan.of(known(facts.settings))
    for name, found in (
        *((name, getattr(facts, which)) for name, which in _sources(plan)),
        (plan.dead_letter_queue, facts.dead_letter_queue),
    ):
        if known(found) is None:
            yield wrong(f"there is no queue {name}", _seed(facts))
        else:
            yield fine(f"there is {name}")


def _visibility(facts: Facts) -> Iterator[Note]:
    plan = Plan.of(known(facts.settings))
    least = plan.visibility_timeout
    for name, which in _sources(plan):
        found = int(_attributes(facts, which)["VisibilityTimeout"])
        told = f"{name} hides a received message for {found} s"
        if found < least:
            yield wrong(f"{told}; six of the worker's time limits are {least} s", _seed(facts))
        else:
            yield fine(told)


def _redrive(facts: Facts) -> Iterator[Note]:
    for name, which in _sources(Plan.of(known(facts.settings))):
        yield from _redrive_of(facts, name, which)


def _redrive_of(facts: Facts, name: str, which: str) -> Iterator[Note]:
    plan = Plan.of(known(facts.settings))
    policy = json.loads(_attributes(facts, which).get("RedrivePolicy", "{}"))
    target = _attributes(facts, _DEAD)["QueueArn"]
    if policy.get("deadLetterTargetArn") != target:
        yield wrong(
            f"{name} moves messages to {policy.get('deadLetterTargetArn', 'no queue')}, "
            f"not to {plan.dead_letter_queue}",
            _seed(facts),
        )
        return
    found = int(policy["maxReceiveCount"])
    if found != plan.max_receive_count:
        yield wrong(
            f"SQS moves a message after {found} receives; MAX_RECEIVE_COUNT is "
            f"{plan.max_receive_count}",
            f"{_seed(facts)} (or set MAX_RECEIVE_COUNT to {found})",
        )
    else:
        yield fine(f"after {found} receives, to {plan.dead_letter_queue}")


def _retention(facts: Facts) -> Iterator[Note]:
    for name, which in _sources(Plan.of(known(facts.settings))):
        yield from _retention_of(facts, name, which)


def _retention_of(facts: Facts, name: str, which: str) -> Iterator[Note]:
    plan = Plan.of(known(facts.settings))
    queue = int(_attributes(facts, which)["MessageRetentionPeriod"])
    dead = int(_attributes(facts, _DEAD)["MessageRetentionPeriod"])
    told = f"{name} keeps messages for {queue / DAY:g} days, its letters are kept {dead / DAY:g}"
    if dead <= queue:
        yield wrong(f"{told}: a letter's age counts from its first sending", _seed(facts))
    elif (queue, dead) != (plan.retention, plan.dead_letter_retention):
        expected = f"{plan.retention / DAY:g} and {plan.dead_letter_retention / DAY:g}"
        yield wrong(f"{told}; it should be {expected}", _seed(facts))
    else:
        yield fine(told)


def _sources(plan: Plan) -> list[tuple[str, str]]:
    # The queues of tasks, and where the facts tell of each.
    high = [(plan.high_queue, _HIGH)] if plan.high_queue else []
    return [(plan.queue, _QUEUE), *high]


def _attributes(facts: Facts, which: str) -> dict[str, str]:
    found: dict[str, str] | None = known(getattr(facts, which))
    if found is None:
        raise NotKnownError("there is no such queue")
    return found


def _seed(facts: Facts) -> str:
    plan = Plan.of(known(facts.settings))
    asked = (
        f"--queue {plan.queue} --visibility-timeout {plan.visibility_timeout} "
        f"--max-receive-count {plan.max_receive_count}"
    )
    if facts.here:
        return f'eval "$(.venv/bin/python -m localdev env)"; scripts/seed_localstack.sh {asked}'
    region = known(facts.declared).region
    priority = "PRIORITY_QUEUE=on " if plan.high_queue else ""
    return f"{priority}.venv/bin/python -m localdev seed --aws --region {region} {asked}"


CHECKS = (
    Check(
        "queues",
        "the queue and its dead-letter queue are there",
        "Without the queue every task waits; without the other, messages that cannot be worked "
        "come again and again.",
        _exist,
        here=True,
    ),
    Check(
        "visibility-timeout",
        "a received message stays hidden for six of the worker's time limits",
        "A message that shows itself again while it is still worked is received twice, which "
        "costs it one of its receives. Six is AWS's rule (Lambda Developer Guide, Configuring a "
        "queue to use with Lambda).",
        _visibility,
        here=True,
    ),
    Check(
        "redrive",
        "a message goes to the dead-letter queue after MAX_RECEIVE_COUNT receives",
        "The worker gives up a message on its last receive, and has to know which that is: too "
        "low a count sends living tasks to the dead-letter queue, too high a one receives "
        "unreadable messages for ever.",
        _redrive,
        here=True,
    ),
    Check(
        "retention",
        "messages are kept for 4 days, letters for 14",
        "A letter keeps the age of its message (SQS Developer Guide, Dead-letter queues): kept no "
        "longer than the queue's, it vanishes as it arrives. The sweeper reckons with 14 days.",
        _retention,
        here=True,
    ),
)
