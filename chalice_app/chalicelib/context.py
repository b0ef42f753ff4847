"""What a handler may know of the attempt that it is, and may do in it."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol

from typing_extensions import TypeVar

from chalicelib.errors import GiveUp, NotStorable, TimedOut
from chalicelib.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.settings import Settings

P = TypeVar("P", default=Any)
T = TypeVar("T")

#: The longest note of a progress, in characters.
MAX_NOTE = 200


class Transaction(Protocol):
    """Statements that become true together with the completion of the task, or not at all."""

    def execute(self, sql: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement; ``%(name)s`` stands for the argument ``name``. Returns its rows."""


class Powers(Protocol):
    """What a worker does for an attempt. Every method may raise StoreUnavailable."""

    @property
    def steps(self) -> Mapping[str, Any]:
        """The values of the steps that this attempt or an earlier one has made."""

    def renew(self, *, progress: str | None = None, step: tuple[str, str] | None = None) -> None:
        """Renew the lease, and keep what is given (JSON texts); raises Stopped."""

    def begin(self) -> Transaction:
        """Begin the transaction in which the attempt will be completed, unless it has begun."""

    def enqueue(self, values: dict[str, Any]) -> None:
        """Check a follow-up task and keep it for the completion; raises InvalidRequest."""

    def query(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement of sql/queries.sql by itself and return its rows."""

    def client(self, service: str) -> Any:
        """Return the boto3 client of an AWS service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Generic[P]):
    """What a handler may know of its attempt, and may do in it.

    ``payload`` is the task's payload as the model that the handler was registered with.
    ``attempt`` counts from 1. ``deadline`` is when the attempt is interrupted, on the clock of
    time.monotonic(). ``idempotency_key`` stays the same over all attempts of a task: hand it to
    services outside, since an attempt may be repeated. ``tenant`` is who the task belongs to.
    ``trace`` holds the headers that name the trace which the attempt belongs to. ``log`` writes
    lines that tell of the task and its attempt by themselves.

    A handler that still runs at its deadline is interrupted by TimedOut: it may clean up, and lets
    it pass. In a thread nothing can be interrupted; there ``heartbeat``,
    ``progress``, ``step`` and ``transaction`` raise it.
    """

    idempotency_key: str
    deadline: float
    attempt: int
    tenant: str
    settings: Settings
    powers: Powers = field(repr=False)
    payload: P
    trace: Mapping[str, str] = field(default_factory=dict)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("handlers"))

    def remaining(self) -> float:
        """Return the seconds that are left until the deadline."""
        return self.deadline - time.monotonic()

    def heartbeat(self) -> None:
        """Renew the lease; to be called now and then in long work.

        Raises Stopped (let it pass) when the task was cancelled or somebody newer works it,
        TimedOut after the deadline, and StoreUnavailable.
        """
        self._in_time()
        self.powers.renew()

    def progress(self, percent: float, note: str | None = None) -> None:
        """Tell clients how far the work is; ``percent`` is from 0 to 100, a note is short.

        It renews the lease, and raises as ``heartbeat`` does. ValueError for a number out of
        bounds; a note is cut to MAX_NOTE characters.
        """
        self._in_time()
        if not 0 <= percent <= 100:  # noqa: PLR2004  (per cent)
            raise ValueError(f"percent is a number from 0 to 100, not {percent}.")
        told = {"percent": round(percent, 2), "note": note and note[:MAX_NOTE]}
        self.powers.renew(progress=encode(told))

    def step(self, name: str, function: Callable[[], T]) -> T:
        """Return what ``function`` returns, and remember it for the attempts to come.

        An attempt that finds the step made does not call the function. Its value has to be JSON;
        it is returned as it will be found, lists for tuples. The function may still run twice, if
        the worker dies between its end and the remembering. Raises as ``heartbeat`` does, and
        GiveUp for a name or a value that cannot be stored, or when the steps together take more
        than 256 KiB: another attempt would only call the function again.
        """
        if name not in self.powers.steps:
            self._in_time()
            _kept(f"The name of the step {name!r}", name)
            text = _kept(f"The value of the step {name!r}", function())
            self.powers.renew(step=(name, text))
        value: T = json.loads(json.dumps(self.powers.steps[name]))
        return value

    def transaction(self) -> Transaction:
        """Return the transaction that commits with the completion of this attempt.

        What it did is undone when the handler raises or the attempt is fenced, so its effects
        happen exactly once. It is one for the whole attempt, on a connection of its own. Raises
        TimedOut after the deadline, and StoreUnavailable.
        """
        self._in_time()
        return self.powers.begin()

    def enqueue(self, title: str, **values: Any) -> None:
        """Create a task when this attempt completes, in the same transaction.

        ``values`` are those of POST /tasks: kind, payload, description, tags, delay_seconds,
        run_at, expires_at, unique_key, unique_scope, callback_url, limit_key, priority. It belongs
        to the same tenant. Raises InvalidRequest for what a request would be refused for.
        """
        self.powers.enqueue({"title": title} | values)

    def query(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement of sql/queries.sql by itself, and return its rows."""
        return self.powers.query(name, **arguments)

    def client(self, service: str) -> Any:
        """Return the boto3 client of an AWS service ("s3"); it is made once in a process."""
        return self.powers.client(service)

    def _in_time(self) -> None:
        if self.remaining() <= 0:
            raise TimedOut


def _kept(what: str, value: Any) -> str:
    try:
        return encode(value)
    except NotStorable as error:
        raise GiveUp(f"{what} {error}.") from None
