"""Makes moves in PostgreSQL and in the reference, and holds one against the other."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.outcome import Completed, Failed, Outcome, Released, Retry
from chalicelib.queue import Message
from chalicelib.store import Settlement
from tests.model.rows import WAITING
from tests.stateful.reference import Reference
from tests.world import allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.world import World

ERROR = {"code": "exception", "class": "ValueError", "message": "no luck"}
READ = """
select id, status, attempt, attempt_limit, lease_token::text, lease_shared, suspect,
       coalesce(lease_until >= now(), false) as live,
       cancel_requested_at is not null as cancel,
       case when status in ('pending', 'retrying') then run_at <= now() end as due,
       case when status in ('pending', 'retrying') then dispatch_after = '-infinity' end as unsent,
       case when status = 'completed' then result #>> '{}' end as written
  from tasks
"""


class Claim(NamedTuple):
    """A claim as it was sent, to be repeated word by word."""

    ids: tuple[int, ...]
    token: str
    alone: bool


class Settling(NamedTuple):
    """A settling as it was sent, to be repeated word by word."""

    number: int
    token: str
    outcome: str
    unsent: bool
    delay: int


class Moves:
    """Every statement of the protocol, on the tasks that ``reference`` knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.reference = Reference(world.settings.attempt_limit)
        self.claims: list[Claim] = []
        self.settlings: list[Settling] = []
        world.table.run("delete from tasks")

    def agree(self) -> None:
        """Every row is as the reference has it."""
        found = {row.pop("id"): row for row in self.world.table.run(READ)}
        assert found == self.reference.columns()

    def create(self) -> int:
        [made] = self.world.clients.insert_tasks([{"kind": "default", "title": "t"}])
        self.reference.insert(made.task.id)
        return made.task.id

    def claim_anew(self, ids: Iterable[int], *, alone: bool) -> None:
        self.claim(Claim(tuple(sorted(ids)), str(uuid.uuid4()), alone))

    def claim(self, claim: Claim) -> None:
        standings = self.store.claim_tasks(
            [_message(number) for number in claim.ids],
            token=claim.token,
            lease=600,
            request_id="request-1",
            alone=claim.alone,
        )
        self.claims.append(claim)
        verdicts = self.reference.claim(list(claim.ids), claim.token, alone=claim.alone)
        said = {one.id: (one.task is not None, one.apart) for one in standings}
        assert said == {
            number: (verdict in {"claim", "mine"}, verdict in {"suspect", "apart"})
            for number, verdict in verdicts.items()
        }

    def settle(self, settling: Settling) -> None:
        number, token, outcome, unsent, delay = settling
        self.settlings.append(settling)
        settlement = Settlement(id=number, outcome=_outcome(settling), unsent=unsent)
        [standing] = self.store.settle_attempts([settlement], token=token)
        fenced = self.reference.settle(number, token, outcome, unsent=unsent, due=not delay)
        assert standing.fenced == fenced
        task = self.reference.tasks.get(number)
        assert standing.status == (task.row.status if task else None)

    def lease_ends(self, number: int) -> None:
        past = "update tasks set lease_until = now() - interval '1 s' where id = %s"
        self.world.table.run(f"{past} and status = 'processing'", [number])
        task = self.reference.tasks[number]
        task.row = task.row._replace(live=False)

    def rescue(self) -> None:
        rescued = {one.id: one.status for one in self.store.rescue_tasks(limit=100)}
        assert rescued == self.reference.rescue()

    def renew(self, number: int, token: str) -> None:
        goes_on = self.store.renew_lease(number, token=token, lease=600)
        assert goes_on == self.reference.renew(number, token)

    def by_hand(self, number: int, move: str) -> None:
        moves: dict[str, Callable[[int], Any]] = {
            "cancel": allowed(self.world.clients.cancel_task),
            "retry": allowed(self.world.clients.retry_task),
            "delete": allowed(self.world.clients.delete_task),
            "fail_unqueued": lambda number: self.store.fail_unqueued_task(number, "away"),
        }
        assert bool(moves[move](number)) == getattr(self.reference, move)(number)

    def dispatch(self, *, unsent: bool) -> None:
        sent = {letter.id for letter in self.store.dispatch_tasks(unsent=unsent, limit=100)}
        assert sent == self.reference.dispatch(unsent=unsent)

    def mark_unsent(self, ids: Iterable[int]) -> None:
        ids = list(ids)
        self.store.mark_unsent(ids)
        self.reference.mark_unsent(ids)

    def mark_all_unsent(self) -> None:
        self.store.mark_unsent(None)
        self.reference.mark_unsent(list(self.reference.tasks))

    def expire(self, number: int) -> None:
        """Let the time of one task be over, if it has not begun."""
        self.world.table.update(number, expires_at=self.world.table.at(-1))
        waiting = self.reference.tasks[number].row.status in WAITING
        assert self.store.expire_tasks(limit=10) == [number] * waiting
        if waiting:
            self.reference.expire(number)
        self.world.table.update(number, expires_at=None)

    def held(self, claim: Claim) -> list[int]:
        known, holds = self.reference.tasks, (claim.token, "processing")
        numbers = [number for number in claim.ids if number in known]
        return [n for n in numbers if (known[n].token, known[n].row.status) == holds]


def _message(number: int) -> Message:
    return Message(
        id=f"m{number}", receipt="r", task_id=number, receive_count=1, trace_id=None, body=""
    )


def _outcome(settling: Settling) -> Outcome:
    match settling.outcome:
        case "completed":
            return Completed(json.dumps(settling.token))
        case "retry":
            return Retry(settling.delay, ERROR)
        case "failed":
            return Failed(ERROR)
        case _:
            return Released(settling.delay)
