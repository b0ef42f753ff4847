"""How much may happen at once: by Lambda's concurrency, and by the database's connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli import HIGH_WORKER
from localdev.aws.names import API
from localdev.doctor.checks.database import answered
from localdev.doctor.finding import Check, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note

#: Sweeper, migrate and admin, each with one.
ONE_EACH = 3
#: Invocations at once that one event poller makes at most. Source: AWS Lambda Developer Guide,
#: "Configuring scaling behavior for SQS event source mappings".
EACH_POLLER = 10


def _concurrency(facts: Facts) -> Iterator[Note]:
    declared = known(facts.declared)
    reserved, most = known(facts.reserved), _most(facts)
    for short, number in reserved.items():
        name = declared.functions[short]
        if number == 0:
            yield wrong(
                f"{name} is stopped: its reserved concurrency is 0",
                f"aws lambda delete-function-concurrency --region {declared.region} "
                f"--function-name {name}",
            )
    own = reserved.get("worker")
    if own is None:
        free = known(facts.unreserved)
        if free <= most:
            yield warning(
                f"the account leaves {free} invocations at once to all, and the worker may take "
                f"{most} by itself",
                "ask AWS to raise the quota Concurrent executions, or lower MAXIMUM_CONCURRENCY",
            )
    elif 0 < own < most:
        yield warning(
            f"the mapping may invoke the worker {most} times at once, and {own} are reserved",
            f"reserve {most} or more in .chalice/config.json, or lower MAXIMUM_CONCURRENCY; then "
            f"{declared.deploy()}",
        )
    yield fine(f"the worker has room for {most} batches at once")


def _connections(facts: Facts) -> Iterator[Note]:
    server = answered(facts)["server"]
    reserved = known(facts.reserved)
    room = room_of(server)
    workers = min(_most(facts), _limit(reserved.get("worker"))) + _second(facts, reserved)
    fixed = workers + ONE_EACH
    api = reserved.get(API)
    limited = f"{API} has a reserved concurrency of {api}"
    if api is None:
        api = known(facts.unreserved)
        limited = f"nothing but the account's {api} limits {API}"
    told = (
        f"the worker takes {workers} connections at most, three functions one each, and {limited}: "
        f"{fixed + api} together; the database has room for {room}"
    )
    if fixed + api <= room:
        yield fine(told)
    elif fixed >= room:
        least = f"lower MAXIMUM_CONCURRENCY to under {room - ONE_EACH}, raise max_connections, "
        yield wrong(told, f"{least}or put RDS Proxy between")
    else:
        cure = (
            f'set "reserved_concurrency" of {API} to {room - fixed} or less in '
            f".chalice/config.json, then {known(facts.declared).deploy()}; or put RDS Proxy between"
        )
        grade = warning if reserved.get(API) is None else wrong
        yield grade(told, cure)


def _most(facts: Facts) -> int:
    pollers = known(facts.declared).options.pollers
    return (
        known(facts.settings).maximum_concurrency
        if pollers is None
        else (EACH_POLLER * pollers.maximum)
    )


def _second(facts: Facts, reserved: dict[str, int | None]) -> float:
    # Pollers are the first worker's alone.
    settings = known(facts.settings)
    if not settings.high_queue_name:
        return 0
    return min(settings.maximum_concurrency, _limit(reserved.get(HIGH_WORKER)))


def _limit(reserved: int | None) -> float:
    return float("inf") if reserved is None else reserved


def room_of(server: dict[str, Any]) -> int:
    """Return how many connections the service may open, by everything that limits them."""
    free = server["max_connections"] - server["reserved"] - server["others"]
    limits = (server["role_limit"], server["database_limit"])
    return int(min([free, *(limit for limit in limits if limit is not None)]))


CHECKS = (
    Check(
        "concurrency",
        "Lambda has room for the worker, and no function is stopped",
        "Beyond what is reserved, or left by the account, Lambda refuses: batches come back and "
        "cost their messages a receive, and requests are answered 429 or 5xx. A reserve of 0 "
        "stops a function.",
        _concurrency,
    ),
    Check(
        "connections",
        "the functions fit into the database's connections",
        "Each process of Lambda holds one connection. Where there are none left, requests are "
        "answered 503 and workers give their messages back, just when there is most to do.",
        _connections,
    ),
)
