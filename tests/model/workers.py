"""What a worker does with one message: claim, run, settle, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.model import rows, rules
from tests.model.rows import FINAL, WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.model.checker import Move
    from tests.model.protocol import Protocol, State
    from tests.model.rows import Row


class Worker(NamedTuple):
    """``doing``: idle, claim, apart (claim alone), run, again (settle again), mark or delete.

    ``message`` is the receive count of the message in hand; 0 when the receipt is void.
    ``token`` says that the row's lease token is this worker's; ``attempt`` is what it was told.
    """

    doing: str = "idle"
    message: int = 0
    token: bool = False
    attempt: int = 0
    outcome: str = ""


IDLE = Worker()


def without(queue: tuple[int, ...], receives: int) -> tuple[int, ...]:
    rest = list(queue)
    rest.remove(receives)
    return tuple(rest)


def forgotten(workers: tuple[Worker, ...]) -> tuple[Worker, ...]:
    """Take the row's token from whoever had it."""
    if not any(one.token for one in workers):
        return workers
    return tuple(sorted(one._replace(token=False) if one.token else one for one in workers))


def moves(model: Protocol, state: State, worker: Worker) -> Iterator[Move[State]]:
    """Yield what the worker may do, and what may happen to it."""
    if worker.doing == "idle":
        yield from _receive(model, state, worker)
        return
    yield from _does(model, state, worker)
    if worker.message:
        seen = worker._replace(message=0)
        yield _freed(model, state, worker, seen, "queue: the message is visible again")
    if luck := model.spend(state, "crashes"):
        yield _freed(model, state, worker, IDLE, f"worker: crashes at {worker.doing}", luck)


def _does(model: Protocol, state: State, worker: Worker) -> Iterator[Move[State]]:
    match worker.doing:
        case "claim" | "apart":
            yield from _claim(model, state, worker)
        case "run":
            for outcome in _outcomes(model, state):
                yield from _settle(model, state, worker, outcome)
        case "again":
            yield from _settle(model, state, worker, worker.outcome)
        case "mark":
            yield from _mark(model, state, worker)
        case _:
            name = "worker: deletes the message"
            yield model.step(state, name, row=state.row, workers=_becomes(state, worker, IDLE))


def _becomes(state: State, worker: Worker, new: Worker) -> tuple[Worker, ...]:
    others = list(state.workers)
    others.remove(worker)
    return tuple(sorted((*others, new)))


def _freed(
    model: Protocol, state: State, worker: Worker, new: Worker, name: str, luck: object = None
) -> Move[State]:
    queue = model.put(state, worker.message) if worker.message else state.queue
    changed = _becomes(state, worker, new)
    if luck is None:
        return model.step(state, name, row=state.row, queue=queue, workers=changed)
    return model.step(
        state, name, row=state.row, chance=True, queue=queue, workers=changed, luck=luck
    )


def _receive(model: Protocol, state: State, worker: Worker) -> Iterator[Move[State]]:
    for receives in sorted(set(state.queue)):
        if receives < model.setting.receives:
            new = Worker("claim", receives + 1)
            yield model.step(
                state,
                f"worker: receives the message, time {receives + 1}",
                row=state.row,
                queue=without(state.queue, receives),
                workers=_becomes(state, worker, new),
            )


def _outcomes(model: Protocol, state: State) -> list[str]:
    outcomes = ["completed"]
    if model.setting.handler_fails:
        outcomes += ["retry", "failed"]
    if state.luck.releases:
        outcomes += ["release"]
    return outcomes


def _claim(model: Protocol, state: State, worker: Worker) -> Iterator[Move[State]]:
    row, alone = state.row, worker.doing == "apart"
    luck = model.spend(state, "lost_replies")
    if luck:
        name = "worker: claim_tasks does not reach the database"
        yield _freed(model, state, worker, IDLE, name, luck)
    if row is None:
        yield _decide(model, state, worker, None, "worker: claim_tasks finds no task")
        return
    for shared in (False, True) if model.setting.company and not alone else (False,):
        verdict, after = rows.claim_tasks(
            model.design, row, mine=worker.token, shared=shared, alone=alone
        )
        if shared and verdict != "claim":
            continue
        name = f"worker: claim_tasks says {verdict}{', with others' if shared else ''}"
        match verdict:
            case "claim":
                yield from _claimed(model, state, worker, after, name)
                yield from _parked(model, state, worker, row)
            case "mine":
                new = worker._replace(doing="run", attempt=row.attempt)
                yield model.step(state, name, row=row, workers=_becomes(state, worker, new))
            case "suspect" | "apart":
                changed = _becomes(state, worker, worker._replace(doing="apart"))
                yield model.step(state, name, row=after, workers=forgotten(changed))
                yield _decide(model, state, worker, after, f"{name}, and no time is left")
            case _:
                yield _decide(model, state, worker, after, name)


def _claimed(
    model: Protocol, state: State, worker: Worker, after: Row, name: str
) -> Iterator[Move[State]]:
    mine = state._replace(workers=forgotten(state.workers))
    worker = worker._replace(token=False)
    new = worker._replace(doing="run", token=True, attempt=after.attempt)
    yield model.step(state, name, row=after, workers=_becomes(mine, worker, new))
    if luck := model.spend(state, "lost_replies"):
        # Carried out, but nobody heard: the same claim is made again.
        unheard = _becomes(mine, worker, worker._replace(token=True))
        yield model.step(
            state, f"{name}, the reply is lost", row=after, chance=True, workers=unheard, luck=luck
        )


def _parked(model: Protocol, state: State, worker: Worker, row: Row) -> Iterator[Move[State]]:
    if luck := model.spend(state, "full"):
        held = state._replace(workers=forgotten(state.workers), luck=luck)
        worker = worker._replace(token=False)
        name = "worker: claim_tasks finds no room and parks the task"
        yield _decide(model, held, worker, rows.park(row), name, gone=True)


def _settle(model: Protocol, state: State, worker: Worker, outcome: str) -> Iterator[Move[State]]:
    row, name = state.row, f"worker: settle_attempts {outcome}, attempt {worker.attempt}"
    may = row is not None and rows.may_settle(
        model.design, row, mine=worker.token, attempt=worker.attempt
    )
    if row is None or not may:
        yield _decide(model, state, worker, row, f"{name}: fenced")
        return
    last = worker.message >= model.setting.receives
    unsent = outcome == "release" or (outcome == "retry" and last)
    if outcome == "release" and (luck := model.spend(state, "releases")):
        state = state._replace(luck=luck)
    broken = None if worker.token else rules.STALE
    exempt = rules.HOLDER | rules.DECISION if outcome in FINAL else rules.HOLDER
    after = rows.settle_attempts(model.design, row, outcome, unsent=unsent)
    gone = unsent and after.status == "retrying"
    effects = state.effects + (outcome == "completed")
    wrote: dict[str, Any] = {"broken": broken, "exempt": exempt, "effects": effects}
    yield _decide(model, state, worker, after, name, gone=gone, **wrote)
    if luck := model.spend(state, "lost_replies"):
        unheard = _becomes(state, worker, worker._replace(doing="again", outcome=outcome))
        name += ", the reply is lost"
        yield model.step(state, name, row=after, chance=True, workers=unheard, luck=luck, **wrote)
        name = "worker: settle_attempts never reaches the database"
        yield _freed(model, state, worker, IDLE, name, luck)


def _decide(
    model: Protocol,
    state: State,
    worker: Worker,
    row: Row | None,
    name: str,
    *,
    gone: bool = False,
    **to: Any,
) -> Move[State]:
    doing = "idle"
    if row is None or row.status in {"completed", "cancelled"} or gone:
        doing = "delete"
    elif row.status != "failed" and worker.message >= model.setting.receives:
        doing = "mark" if row.status in WAITING else "delete"
        if not model.design.last_receive_is_given_up:
            doing, to["broken"] = "idle", rules.LAST_RECEIVE
    if not worker.message:
        doing = "idle"  # nothing in hand to delete
    # A message that is kept comes back some time.
    kept = doing == "idle" and worker.message
    queue = model.put(state, worker.message) if kept else state.queue
    new = IDLE if doing == "idle" else Worker(doing, worker.message)
    to |= {"queue": queue, "workers": _becomes(state, worker, new), "luck": state.luck}
    return model.step(state, name, row=row, **to)


def _mark(model: Protocol, state: State, worker: Worker) -> Iterator[Move[State]]:
    row = state.row
    new = _becomes(state, worker, worker._replace(doing="delete"))
    if row is not None:
        row = rows.mark_unsent(row)
    yield model.step(state, "worker: mark_unsent", row=row, workers=new)
    if luck := model.spend(state, "lost_replies"):
        name = "worker: mark_unsent does not reach the database"
        yield model.step(state, name, row=state.row, chance=True, workers=new, luck=luck)
