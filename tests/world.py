"""A whole service around one database, put together for a test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extras import Json, RealDictCursor
from psycopg2.sql import SQL, Identifier

from chalicelib.access import ANYBODY
from chalicelib.db import Database
from chalicelib.errors import IllegalMove, TaskNotFound
from chalicelib.post import Post
from chalicelib.registry import Registry
from chalicelib.service import TaskService, offer_of
from chalicelib.settings import Settings
from chalicelib.store import ClientStore, DueStore, Store
from chalicelib.sweeper import Schedules, Sweeper
from chalicelib.worker import Alarm, Bench, Invocation, Worker
from tests.fakes import FakeQueue, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from chalicelib.context import Context
    from chalicelib.registry import Handler
    from chalicelib.task import Task

OTHER_TOKEN = "00000000-0000-4000-8000-00000000000a"  # noqa: S105  (no password)
MY_TOKEN = "00000000-0000-4000-8000-00000000000b"  # noqa: S105  (no password)
DAY = 24 * 60 * 60


class Table:
    """The table ``tasks``, behind the service's back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg2.connect(url, cursor_factory=RealDictCursor)
        self.connection.autocommit = True

    def run(self, statement: Any, values: Any = None) -> list[dict[str, Any]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def after(self, number: int, first: str, second: Callable[[], Any]) -> Any:
        """Return what ``second`` is answered, asked while ``first`` has locked the task."""
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(second()))
        with psycopg2.connect(self.url) as held, held.cursor() as cursor:
            cursor.execute(first, [number])
            thread.start()
            waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock'"
            while not self.run(f"{waiting} and datname = current_database()"):
                assert thread.is_alive(), answers
        held.close()
        thread.join()
        [answer] = answers
        return answer

    def at(self, seconds: float) -> datetime:
        """Return the database's time, so many seconds from now."""
        [row] = self.run("select now() + make_interval(secs => %s) as at", [seconds])
        moment: datetime = row["at"]
        return moment

    def insert(self, **columns: Any) -> int:
        """Insert a row as it is told and return its id."""
        columns = {"title": "a title"} | columns
        wrapped = [Json(v) if isinstance(v, dict | list) else v for v in columns.values()]
        statement = SQL("insert into tasks ({}) values %s returning id").format(
            SQL(", ").join(map(Identifier, columns))
        )
        [row] = self.run(statement, [tuple(wrapped)])
        number: int = row["id"]
        return number

    def arrange(self, status: str, /, **columns: Any) -> int:
        """Insert a task that rightly has ``status``; other columns as told."""
        return self.insert(**(self.usual(status) | columns))

    def usual(self, status: str) -> dict[str, Any]:
        """Return columns that make a row of ``status`` possible."""
        now = self.at(0)
        touched = {"status": status, "updated_at": now}
        match status:
            case "pending":
                return {"status": status}
            case "processing":
                lease = {"lease_token": OTHER_TOKEN, "lease_until": self.at(600)}
                return touched | lease | {"attempt": 1, "started_at": now}
            case "retrying":
                return touched | {"attempt": 1}
            case "completed":
                return touched | {"attempt": 1, "started_at": now, "finished_at": now}
            case "failed":
                return touched | {"attempt": 3, "finished_at": now, "error": {"code": "exception"}}
            case _:
                return touched | {"cancel_requested_at": now, "finished_at": now}

    def row(self, number: int) -> dict[str, Any]:
        [row] = self.run("select * from tasks where id = %s", [number])
        return row

    def status(self, number: int) -> str:
        return str(self.row(number)["status"])

    def update(self, number: int, **columns: Any) -> None:
        for name, value in columns.items():
            statement = SQL("update tasks set {} = %s where id = %s").format(Identifier(name))
            self.run(statement, [value, number])

    def count(self) -> int:
        [row] = self.run("select count(*) as count from tasks")
        count: int = row["count"]
        return count

    def unsent(self) -> set[int]:
        """Return the ids of rows that are known to have no message."""
        rows = self.run("select id from tasks where dispatch_after = '-infinity'")
        return {row["id"] for row in rows}

    def close(self) -> None:
        self.connection.close()


class World:
    """Every room of the service, on one database and one queue."""

    def __init__(self, url: str, queue: Any = None, **settings: Any) -> None:
        values = {
            "database_url": url,
            "auth": "off",
            "partial_batch": "report",
            "retry_delay": 30.0,
        }
        self.settings = Settings.model_validate(values | settings)
        self.database = Database(url, connections=4)
        self.table = Table(url)
        self.query = Recorder(self.database.query)
        self.store = Store(self.query, self.settings)
        self.queue = queue or FakeQueue()
        self.registry = Registry()
        self.registry.handler("default")(_echo)
        post = Post(self.store, self.queue, self.settings)
        bench = Bench(
            registry=self.registry,
            run=Alarm(self.registry.run, self.settings).run,
            query=self.query,
            transaction=self.database.transaction,
            post=post,
            client=_no_client,
            offer=offer_of(self.settings),
        )
        self.worker = Worker(self.store, self.queue, bench, self.settings)
        due = DueStore(self.query, self.settings)
        schedules = Schedules(due, self.registry.attempts)
        self.sweeper = Sweeper(self.store, self.queue, schedules, self.settings)
        self.clients = ClientStore(self.query, self.settings, ANYBODY)
        offer = offer_of(self.settings)
        self.service = TaskService(self.clients, post, self.registry, offer=offer)

    def task(self, *, kind: str = "default", **columns: Any) -> int:
        """Insert a pending task with its message on the queue."""
        later = {"dispatch_after": self.table.at(120)}
        number = self.table.arrange("pending", kind=kind, **(later | columns))
        self.queue.put(f'{{"task_id": {number}}}')
        return number

    def work(self, records: list[dict[str, Any]], *, remaining: float = 50) -> set[str]:
        """Let the worker work the records; return the ids of messages it wants kept."""
        invocation = Invocation("request-1", lambda: remaining)
        answer: Mapping[str, Any] = self.worker.work(records, invocation)
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def deliver(self, *, remaining: float = 50) -> list[dict[str, Any]]:
        """Do as Lambda's mapping does: receive, work, delete what is not to be kept."""
        records: list[dict[str, Any]] = self.queue.receive()
        kept = self.work(records, remaining=remaining)
        gone = {r["receiptHandle"] for r in records if r["messageId"] not in kept}
        fake = self.queue
        fake.stored = [one for one in fake.stored if not one.receipts & gone]
        return records

    def sweep(self, *, remaining: float = 50, queue_lost: bool = False) -> dict[str, int]:
        return self.sweeper.sweep(lambda: remaining, queue_lost=queue_lost)

    def close(self) -> None:
        self.database.close()
        self.table.close()


def bad(world: World, action: Handler, kind: str = "bad") -> int:
    """Add a task whose handler does ``action``, with its message."""
    world.registry.handler(kind)(action)
    return world.task(kind=kind)


def raising(error: BaseException) -> Handler:
    def action(task: Task, context: Context) -> Any:  # noqa: ARG001  (every handler takes both)
        raise error

    return action


def returning(value: Any) -> Handler:
    return lambda _task, _context: value


def _no_client(service: str) -> Any:
    raise AssertionError(service)


def _echo(task: Task, context: Any) -> str:  # noqa: ARG001  (every handler takes both)
    return f"did {task.title}"


def allowed(move: Callable[[int], object]) -> Callable[[int], bool]:
    """Return what tells whether a move by hand was made."""

    def tried(number: int) -> bool:
        try:
            move(number)
        except (IllegalMove, TaskNotFound):
            return False
        return True

    return tried
