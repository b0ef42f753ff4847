"""What a worker does for one attempt, on behalf of its handler."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp, ServiceError, Stopped
from chalicelib.intake import taken
from chalicelib.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.db import Rows, Transaction
    from chalicelib.store import Claim
    from chalicelib.worker.bench import Bench


class Powers:
    """The powers of one attempt, and the effects that are to come true with its completion."""

    def __init__(
        self, claim: Claim, bench: Bench, renew: Callable[..., bool], time_left: Callable[[], float]
    ) -> None:
        """Take what was claimed, what renews its lease, and the seconds an attempt has left."""
        self._bench = bench
        self._renew = renew
        self._time_left = time_left
        self._steps = dict(claim.steps)
        self._stack = ExitStack()
        self.transaction: Transaction | None = None
        #: Follow-up tasks, as they are stored.
        self.follow_ups: list[dict[str, Any]] = []

    @property
    def steps(self) -> Mapping[str, Any]:
        """The values of the steps that are made."""
        return self._steps

    @property
    def has_effects(self) -> bool:
        """Whether the completion is to be one transaction with anything else."""
        return self.transaction is not None or bool(self.follow_ups)

    def renew(self, *, progress: str | None = None, step: tuple[str, str] | None = None) -> None:
        """Renew the lease, and keep what is given; see context.Powers."""
        made = None
        if step is not None:
            name, text = step
            made = f"{{{json.dumps(name)}:{text}}}"
            self._check_room(made)
        if not self._renew(progress=progress, step=made):
            raise Stopped
        if made is not None:
            self._steps |= json.loads(made)

    def begin(self) -> Transaction:
        """Return the transaction in which the attempt will be completed."""
        if self.transaction is None:
            patience = self._time_left()
            opened = self._bench.transaction(patience)
            self.transaction = self._stack.enter_context(opened)
        return self.transaction

    def enqueue(self, values: dict[str, Any]) -> None:
        """Keep a follow-up task for the completion; raises InvalidRequest."""
        self.follow_ups.append(taken(self._bench.registry, values, self._bench.offer))

    def query(self, name: str, /, **arguments: Any) -> Rows:
        """Run a statement of sql/queries.sql by itself and return its rows."""
        return self._bench.query(name, **arguments)

    def client(self, service: str) -> Any:
        """Return the boto3 client of an AWS service."""
        return self._bench.client(service)

    def commit(self) -> None:
        """Let the effects come true."""
        self._stack.close()

    def undo(self) -> None:
        """Let nothing of the effects come true."""
        self.follow_ups = []
        if self.transaction is None:
            return
        stack, self._stack = self._stack, ExitStack()
        self.transaction = None
        with suppress(ServiceError):  # a connection that is broken has undone it already
            stack.__exit__(Undone, Undone(), None)

    def _check_room(self, made: str) -> None:
        size = len(made.encode()) + len(json.dumps(self._steps, ensure_ascii=False).encode())
        if size > MAX_BYTES:
            raise GiveUp(f"The steps' values take {size:,} bytes; at most {MAX_BYTES:,} are kept.")


class Undone(Exception):
    """What a transaction is told that is not to come true."""


#: In these a handler is not interrupted: a statement that is under way would be torn.
UNTORN = frozenset(
    method.__code__ for method in (Powers.renew, Powers.begin, Powers.query, Powers.client)
)
