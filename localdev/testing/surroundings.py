"""What is around a handler in a test: its database and clients, as far as they are given."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from chalicelib.db import Database
from chalicelib.intake import Offer
from chalicelib.outbound import Exempt
from chalicelib.worker import Alarm, Bench
from localdev.testing.given import NotGiven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.context import Context, Transaction
    from chalicelib.registry import Registry
    from chalicelib.settings import Settings
    from chalicelib.task import Task
    from localdev.testing.given import Given
    from localdev.testing.ran import Ran

    Rows = list[dict[str, Any]]


#: Whatever a service may be set up for.
EVERYTHING = Offer(callbacks=Exempt.parse(""), high=True)


class Surroundings(ExitStack):
    """Gives an attempt what the test gives; closes it at the end."""

    def __init__(self, given: Given, registry: Registry, settings: Settings, ran: Ran) -> None:
        """Take what is given, and where it is told what came of it."""
        super().__init__()
        self._given = given
        self._registry = registry
        self._run = Alarm(registry.run, settings).run
        self._ran = ran
        self._database: Database | None = None
        if "database" in given:
            # The transaction holds one connection, and a query of its own takes another.
            self._database = Database(given["database"], connections=2)
            self.callback(self._database.close)

    def bench(self) -> Bench:
        """Return what the worker makes attempts with."""
        nobody: Any = None
        transaction: Any = self._transaction
        return Bench(
            registry=self._registry,
            run=self._called,
            query=self._query(),
            transaction=transaction,
            post=nobody,
            client=self._client,
            offer=EVERYTHING,
        )

    def _called(self, task: Task, context: Context[Any]) -> Any:
        try:
            return self._run(task, context)
        except BaseException as error:
            self._ran.raised = error
            raise

    def _query(self) -> Callable[..., Rows]:
        if query := self._given.get("query"):
            return query
        return self._database.query if self._database else _no_query

    def _client(self, service: str) -> Any:
        try:
            return self._given.get("clients", {})[service]
        except KeyError:
            raise NotGiven(
                f"This test gives no client of {service!r}: clients={{{service!r}: …}}."
            ) from None

    @contextmanager
    def _transaction(self, patience: float) -> Iterator[Transaction]:
        if sql := self._given.get("sql"):
            yield Recording(self._ran, sql)
        elif self._database:
            with self._database.transaction(patience) as real:
                yield Recording(self._ran, real.execute)
                # It fails where an error was swallowed, as the statement that settles would.
                real.execute("select 1")
        else:
            raise NotGiven(
                "This test gives no database: database=… takes the URL of a real one, whose "
                "transaction is committed if the handler returns; sql=… a function in its place."
            )


class Recording:
    """A transaction whose statements are told."""

    def __init__(self, ran: Ran, execute: Callable[..., Rows]) -> None:
        """Take where they are told, and what runs them."""
        self._ran = ran
        self._execute = execute

    def execute(self, sql: str, /, **arguments: Any) -> Rows:
        """Run a statement; see context.Transaction."""
        self._ran.statements.append((sql, arguments))
        return self._execute(sql, **arguments)


def _no_query(name: str, /, **_arguments: Any) -> Rows:
    raise NotGiven(f"This test gives no database for {name!r}: database=… or query=….")
