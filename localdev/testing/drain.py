"""Makes one attempt of a task, or all that become of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from chalicelib.outcome import Released
from chalicelib.task import Status
from localdev.testing.clock import frozen
from localdev.testing.memory import Memory, Row

if TYPE_CHECKING:
    from chalicelib.registry import Handler, Registry
    from localdev.testing.given import Given
    from localdev.testing.ran import Ran


def run(handler: Handler | str, payload: Any = None, **given: Unpack[Given]) -> Ran:
    """Make one attempt of a task, and return what it did.

    ``handler`` is a registered function or its kind; ``given`` is what the test gives, see Given.
    Raises InvalidRequest for a payload that POST /tasks would refuse, and LookupError for a
    function that is not registered. What the handler raises is told by what is returned.
    """
    registry = _registry(given)
    memory = Memory(registry, given)
    return memory.attempt(memory.first(_kind(registry, handler), payload))


def drain(
    handler: Handler | str, payload: Any = None, *, most: int = 100, **given: Unpack[Given]
) -> list[Ran]:
    """Make all attempts of a task and of those that it enqueues, and return them in order.

    It takes what ``run`` takes. Waits are skipped: the clock stands still while a handler runs,
    and is moved to when the next task is due. RuntimeError if ``most`` attempts did not do.
    """
    registry = _registry(given)
    memory = Memory(registry, given)
    done: list[Ran] = []
    with frozen(datetime.now(UTC)) as move_on:
        waiting = [memory.first(_kind(registry, handler), payload)]
        while waiting:
            if len(done) == most:
                kinds = sorted({row.task.kind for row in waiting})
                raise RuntimeError(f"After {most} attempts there are tasks left: {kinds}.")
            row = min(waiting, key=lambda one: one.due)  # of equals, the one that waits longest
            waiting.remove(row)
            move_on(max(0.0, (row.due - datetime.now(UTC)).total_seconds()))
            ran = memory.attempt(row)
            done.append(ran)
            waiting += [memory.row(columns) for columns in ran.enqueued]
            if ran.status is Status.RETRYING:
                waiting.append(_again(ran))
    return done


def _again(ran: Ran) -> Row:
    due = ran.at + timedelta(seconds=ran.wait or 0)
    # Given back: the attempt has a number, and does not count.
    back = int(isinstance(ran.outcome, Released))
    task = replace(
        ran.task,
        attempt=ran.task.attempt + 1,
        attempt_limit=ran.task.attempt_limit + back,
        release_count=ran.task.release_count + back,
        run_at=due,
        started_at=due,
    )
    return Row(task, due, dict(ran.steps))


def _registry(given: Given) -> Registry:
    if "registry" in given:
        return given["registry"]
    from chalicelib.handlers import registry  # noqa: PLC0415  (it imports every handler)

    return registry


def _kind(registry: Registry, handler: Handler | str) -> str:
    if isinstance(handler, str):
        return handler
    for kind in registry.kinds:
        if registry.handler_of(kind) is handler:
            return kind
    raise LookupError(f"{handler!r} is not registered: @handler does it, in chalicelib/handlers.")
