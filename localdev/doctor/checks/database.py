"""What the service sees of its database and of its backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.store import health
from localdev.doctor.finding import Check, NotKnownError, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note

#: Seconds that a clock may be wrong. AWS refuses a request that was signed over five minutes
#: ago (IAM User Guide, Troubleshoot Signature Version 4 requests).
ODD_CLOCK, BAD_CLOCK = 5, 300
#: Seconds after which the sweeper has missed two of its ticks.
TWO_TICKS = 150


def _database(facts: Facts) -> Iterator[Note]:
    told = known(facts.diagnosis)
    if error := told.get("error"):
        where = "DATABASE_URL" if facts.here else "the secret, the security group, the subnets"
        yield wrong(f"the database does not answer: {error}", f"look at {where}")
    elif told["server"]["standby"]:
        yield wrong(
            "the database is a standby, which takes no task",
            "name the writer's endpoint in the secret or in DATABASE_URL",
        )
    else:
        yield fine("it answers, and can be written to")


def _schema(facts: Facts) -> Iterator[Note]:
    schema = answered(facts)["schema"]
    found, wanted = schema["found"], schema["wanted"]
    if found < wanted:
        cure = "start the stack again: scripts/dev.sh" if facts.here else _migrate(facts)
        yield wrong(f"the schema has version {found}, the code wants {wanted}", cure)
    elif found > wanted:
        yield warning(
            f"the schema has version {found}, and the code knows {wanted}",
            "none is needed after going back to older code; otherwise deploy the newer",
        )
    else:
        yield fine(f"version {found}")


def _clock(facts: Facts) -> Iterator[Note]:
    server = answered(facts)["server"]
    ahead, error = server["clock_ahead"], server["clock_error"]
    least = abs(ahead) - error
    told = f"the database's clock is {ahead:+.3f} s from the function's (± {error:.3f})"
    cure = "set the clock of the database's machine by NTP"
    if least > BAD_CLOCK:
        yield wrong(told, cure)
    elif least > ODD_CLOCK:
        yield warning(told, cure)
    else:
        yield fine(told)


def _backlog(facts: Facts) -> Iterator[Note]:
    backlog, settings = answered(facts)["backlog"], known(facts.settings)
    if backlog is None:
        raise NotKnownError("the schema is too old to be asked")
    yield fine(", ".join(_counted(backlog[name], what) for name, what in _STANDING.items()))
    cure = "see the sweeper's log: it failed, or it cannot reach SQS"
    for name, what in _NEGLECTED.items():
        age = round(backlog[f"{name}_for"])
        if backlog[name] and age > TWO_TICKS:
            yield wrong(f"{_counted(backlog[name], what)}, the oldest for {age} s", cure)
    age = round(backlog["presumed_for"])
    waiting = known(facts.queue) or {}
    messages = sum(int(waiting.get(name, 0)) for name in _MESSAGES)
    if backlog["presumed"] > messages and age > TWO_TICKS:
        counted = _counted(backlog["presumed"], "tasks should have been sent again")
        yield wrong(f"{counted}, the oldest {age} s ago; {messages} messages are there", cure)
    elif age > settings.dispatch_grace_max:
        yield warning(
            f"a task has waited for {age} s longer than a message usually takes: more is posted "
            "than is worked",
            "raise MAXIMUM_CONCURRENCY, or look in the worker's log what takes so long",
        )


_MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_STANDING = {
    "waiting": "tasks wait",
    "processing": "are worked",
    "failed": "have failed",
}
#: What the sweeper does with each at its next tick.
_NEGLECTED = {
    "unsent": "tasks have no message",
    "lost": "attempts are held by workers that are gone",
    "late": "tasks have expired and wait all the same",
}


def _counted(number: int, what: str) -> str:
    return f"{number}{' or more' if number >= health.MOST else ''} {what}"


def answered(facts: Facts) -> dict[str, Any]:
    """Return what the function admin said. Raises NotKnownError if its database did not answer."""
    told = known(facts.diagnosis)
    if "error" in told:
        raise NotKnownError("the database does not answer")
    return told


def _migrate(facts: Facts) -> str:
    declared = known(facts.declared)
    return (
        f"{declared.deploy()}, or alone: aws lambda invoke --region {declared.region} "
        f"--function-name {declared.functions['migrate']} /dev/stdout"
    )


CHECKS = (
    Check(
        "database",
        "the database answers the service and can be written to",
        "Without it every request is answered 503, and the worker keeps its messages.",
        _database,
        here=True,
    ),
    Check(
        "schema",
        "the database's schema is the code's",
        "Code on an older schema answers 503 and works nothing.",
        _schema,
        here=True,
    ),
    Check(
        "clock",
        "the functions' clock and the database's agree",
        "Every decision is made by the database's clock alone. But logs and traces are put in "
        "order by the other, and AWS refuses what is signed by a clock that is minutes off.",
        _clock,
        here=True,
    ),
    Check(
        "backlog",
        "nothing waits that the sweeper should have done",
        "The sweeper sends what has no message, ends what its worker has left, and expires what is "
        "too late, once a minute. What is overdue for longer shows that it does not.",
        _backlog,
        here=True,
    ),
)
