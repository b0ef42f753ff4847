"""One task, its messages, and everybody who touches them, as a model to be explored.

Time is not modelled: a lease may end, and a hidden message come back, at any moment. So every
pause, every slow worker and every wrong clock is among the explored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.model import rows, rules, workers
from tests.model.checker import Move
from tests.model.rows import FINAL, WAITING, Design, Row
from tests.model.workers import IDLE, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator


#: What somebody who sends does next.
AFTERWARDS = {"api": "done", "sweeper": ""}


class Luck(NamedTuple):
    """How often each piece of bad luck, and each wish of a client, may still happen."""

    crashes: int = 0
    duplicates: int = 0
    lost_replies: int = 0
    failed_sends: int = 0
    lost_queues: int = 0
    releases: int = 0
    full: int = 0
    cancels: int = 0
    retries: int = 0
    deletes: int = 0
    expiries: int = 0


class State(NamedTuple):
    """``queue`` holds the receive count of each message that no worker holds.

    ``api`` is what the creating call does next; ``sweeper`` what a tick does next.
    ``effects`` counts what handlers did inside their task's own transaction.
    """

    row: Row | None
    queue: tuple[int, ...]
    workers: tuple[Worker, ...]
    luck: Luck
    api: str = "insert"
    sweeper: str = ""
    dead: int = 0
    effects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How large a world is explored; ``company`` lets tasks be claimed with others."""

    luck: Luck
    workers: int = 2
    attempts: int = 2
    receives: int = 2
    company: bool = False
    messages: int = 3
    handler_fails: bool = True


class Protocol:
    """The protocol under one design, in one setting."""

    def __init__(self, design: Design, setting: Setting) -> None:
        self.design = design
        self.setting = setting

    def start(self) -> State:
        return State(None, (), (IDLE,) * self.setting.workers, self.setting.luck)

    def settled(self, state: State) -> bool:
        """Whether the task has ended: it is final, was deleted, or never came to be."""
        if state.row is None:
            return state.api != "insert"
        return state.row.status in FINAL

    def moves(self, state: State) -> Iterator[Move[State]]:
        yield from self._create(state)
        yield from self._time(state)
        yield from self._queue(state)
        for number, worker in enumerate(state.workers):
            if worker not in state.workers[:number]:  # the same worker twice does the same
                yield from workers.moves(self, state, worker)
        if self.design.has_sweeper:
            yield from self._sweep(state)
        if state.row is not None and state.api == "done":
            yield from self._wish(state, state.row)

    def step(
        self,
        before: State,
        name: str,
        /,
        *,
        row: Row | None,
        chance: bool = False,
        exempt: frozenset[str] = rules.NONE,
        broken: str | None = None,
        **to: Any,
    ) -> Move[State]:
        """Make a move that leaves ``row``; ``exempt`` are the rules that do not bind it."""
        after = before._replace(row=row, **to)
        if row is not before.row:
            broken = broken or rules.broken_by(before.row, row, exempt)
        if after.effects > 1:
            broken = broken or rules.TWICE
        return Move(name, after, chance, broken)

    def spend(self, state: State, what: str) -> Luck | None:
        """Return the luck that is left after this, or None if there is none."""
        left: int = getattr(state.luck, what)
        return state.luck._replace(**{what: left - 1}) if left else None

    def put(self, state: State, receives: int = 0) -> tuple[int, ...]:
        return tuple(sorted((*state.queue, receives)))

    def depth(self, state: State) -> int:
        return len(state.queue) + sum(1 for worker in state.workers if worker.message)

    def _create(self, state: State) -> Iterator[Move[State]]:
        fresh = Row(limit=self.setting.attempts, spare=self.setting.attempts)
        match state.api, self.design.create:
            case "insert", "send first":
                yield self.step(state, "api: send", row=None, queue=self.put(state), api="commit")
            case "insert", _:
                yield self.step(state, "api: insert_task", row=fresh, api="send")
            case "commit", _:
                yield self.step(state, "api: insert_task", row=fresh, api="done")
            case "send", _:
                yield from self._send(state, "api")
            case "refused", _:
                yield from self._refused(state)

    def _send(self, state: State, who: str) -> Iterator[Move[State]]:
        queue, row = self.put(state), state.row
        then: dict[str, Any] = {who: AFTERWARDS[who]}
        refused: dict[str, Any] = {who: "refused"}
        yield self.step(state, f"{who}: send", row=row, queue=queue, **then)
        if luck := self.spend(state, "failed_sends"):
            refused |= {"luck": luck, "chance": True}
            yield self.step(state, f"{who}: send is refused", row=row, **refused)
            name = f"{who}: send arrives, the reply is lost"
            yield self.step(state, name, row=row, queue=queue, **refused)
        if luck := self.spend(state, "crashes"):
            name = f"{who}: crashes before the send"
            yield self.step(state, name, row=row, chance=True, luck=luck, **then)

    def _refused(self, state: State) -> Iterator[Move[State]]:
        row = state.row
        if self.design.create == "mark failed" and row is not None:
            failed = rows.ended(row, "failed")
            name = "api: marks the task failed"
            yield self.step(state, name, row=failed, exempt=rules.DECISION, api="done")
        elif self.design.fails_unsent and row is not None:
            if row.attempt == 0 and row.status == "pending":
                row = rows.ended(row, "failed")
            name = "api: fail_unqueued_task"
            yield self.step(state, name, row=row, exempt=rules.DECISION, api="done")
        else:
            yield from self._mark_unsent(state, "api")

    def _mark_unsent(self, state: State, who: str) -> Iterator[Move[State]]:
        row = state.row
        then: dict[str, Any] = {who: AFTERWARDS[who]}
        if row is not None:
            row = rows.mark_unsent(row)
        yield self.step(state, f"{who}: mark_unsent", row=row, **then)
        if luck := self.spend(state, "lost_replies"):
            name = f"{who}: mark_unsent does not reach the database"
            yield self.step(state, name, row=state.row, chance=True, luck=luck, **then)

    def _time(self, state: State) -> Iterator[Move[State]]:
        row = state.row
        if row is not None and row.live:
            yield self.step(state, "time: the lease ends", row=row._replace(live=False))
        if row is not None and not row.due:
            yield self.step(state, "time: the task is due", row=row._replace(due=True))

    def _queue(self, state: State) -> Iterator[Move[State]]:
        row, full = state.row, self.depth(state) >= self.setting.messages
        for receives in sorted(set(state.queue)):
            if receives >= self.setting.receives:
                rest = workers.without(state.queue, receives)
                name = f"queue: dead-letters the message received {receives} times"
                dead = int(self.design.fails_dead_letters)
                yield self.step(state, name, row=row, queue=rest, dead=state.dead + dead)
            if not full and (luck := self.spend(state, "duplicates")):
                twice = self.put(state, receives)
                name = "queue: doubles the message"
                yield self.step(state, name, row=row, chance=True, queue=twice, luck=luck)
        if state.api == "done" and (luck := self.spend(state, "lost_queues")):
            held = tuple(sorted(worker._replace(message=0) for worker in state.workers))
            name = "queue: loses every message"
            yield self.step(state, name, row=row, chance=True, queue=(), workers=held, luck=luck)
        if state.dead and row is not None:
            if row.status not in FINAL:
                row = rows.ended(row, "failed")
            name = "dead-letter consumer: fails the task"
            left = state.dead - 1
            yield self.step(state, name, row=row, exempt=rules.DECISION, dead=left)

    def _sweep(self, state: State) -> Iterator[Move[State]]:
        row = state.row
        if state.sweeper == "send":
            yield from self._send(state, "sweeper")
        elif state.sweeper == "refused":
            yield from self._mark_unsent(state, "sweeper")
        elif row is not None and row.parked:
            if self.design.parked_are_called:
                called = rows.call_parked(row)
                yield self.step(state, "sweeper: call_parked", row=called, sweeper="send")
        elif row is not None and row.status in WAITING:
            depth = self.depth(state)
            if depth < self.setting.messages and (row.unsent or not depth):
                # Known to have no message: always. Presumed: up to the deficit.
                sent = row._replace(unsent=False)
                yield self.step(state, "sweeper: dispatch_tasks", row=sent, sweeper="send")
        elif row is not None and rows.may_rescue(self.design, row):
            rescued = rows.rescue_tasks(self.design, row)
            yield self.step(state, "sweeper: rescue_tasks", row=rescued)

    def _wish(self, state: State, row: Row) -> Iterator[Move[State]]:
        if (luck := self.spend(state, "cancels")) and (cancelled := rows.cancel_task(row)):
            yield self._wished(state, "cancel_task", cancelled, luck)
        if (luck := self.spend(state, "expiries")) and row.status in WAITING:
            yield self._wished(state, "expire_tasks", rows.ended(row, "failed"), luck)
        if (luck := self.spend(state, "deletes")) and row.status in FINAL:
            yield self._wished(state, "delete_task", None, luck)
        again = rows.retry_task(self.design, row, self.setting.attempts)
        if again and (luck := self.spend(state, "retries")):
            gone = state._replace(workers=workers.forgotten(state.workers))
            yield self._wished(gone, "retry_task, not sent", again, luck)
            sent = gone._replace(queue=self.put(state))
            yield self._wished(sent, "retry_task, sent", again, luck)

    def _wished(self, state: State, what: str, row: Row | None, luck: Luck) -> Move[State]:
        exempt = rules.NONE if row is None or row.status in FINAL else rules.WISH
        if row is None:
            state = state._replace(workers=workers.forgotten(state.workers))
            exempt = rules.WISH
        elif row.status == "failed":
            exempt = rules.DECISION
        return self.step(state, f"client: {what}", row=row, chance=True, exempt=exempt, luck=luck)
