"""The floor as a contestant: the calls that cannot be done without, made bare."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2

from bench import events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INSERT = """
insert into tasks (title, description, dispatch_after)
select title, description, now() + interval '2 minutes'
  from unnest(%s::text[], %s::text[]) as t (title, description) returning id
"""
_CLAIM = """
update tasks set status = 'processing', attempt = attempt + 1, lease_token = %s,
                 lease_until = now() + interval '75 s', started_at = now(), updated_at = now()
 where id = any (%s) and status = 'pending' returning id, title, description
"""
_FINISH = """
update tasks t set status = 'completed', result = f.result, lease_until = null,
                   finished_at = now(), updated_at = now()
  from unnest(%s::bigint[], %s::jsonb[]) as f (id, result)
 where t.id = f.id and t.lease_token = %s returning t.id
"""
_TOKEN = "00000000-0000-4000-8000-00000000000a"  # noqa: S105  (no password)
_SENT_AT_ONCE = 10


def begin(role: str) -> Callable[[str, int, int], Callable[[int], None]]:
    """Connect to what the role needs; return what prepares the calls of a case."""
    cursor = connected(os.environ["DATABASE_URL"])
    if role == "api":
        return Creating(cursor, os.environ).prepare
    return lambda _case, batch, calls: _working(cursor, batch, calls)


def connected(url: str) -> Any:
    """Return a cursor whose statements are transactions each."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection.cursor()


def work(cursor: Any, ids: list[int]) -> None:
    """Claim and finish tasks. Raises RuntimeError if not all of them can be."""
    cursor.execute(_CLAIM, (_TOKEN, ids))
    done = [(i, json.dumps(f"Processed task '{title}'")) for i, title, _ in cursor.fetchall()]
    cursor.execute(_FINISH, (*map(list, zip(*done, strict=True)), _TOKEN))
    if len(cursor.fetchall()) != len(ids):
        raise RuntimeError("not all were finished")


class Creating:
    """Creates tasks by one INSERT, and sends their messages."""

    def __init__(self, cursor: Any, environ: Mapping[str, str]) -> None:
        """Make the client of SQS."""
        import boto3  # noqa: PLC0415  (the worker needs none)

        self._cursor = cursor
        self._sqs: Any = boto3.client(
            "sqs",
            region_name="us-east-1",
            endpoint_url=environ["AWS_ENDPOINT_URL_SQS"],
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        )
        self._queue = environ["BENCH_QUEUE_URL"]

    def prepare(self, case: str, batch: int, _: int) -> Callable[[int], None]:
        """Return the call; a case ``send`` has the message alone."""
        tasks = [events.task(number) for number in range(batch)]

        def call(_: int) -> None:
            ids = range(batch) if case == "send" else _insert(self._cursor, tasks)
            pairs = zip(ids, tasks, strict=True)
            self._send([json.dumps({"task_id": number, **task}) for number, task in pairs])

        return call

    def _send(self, bodies: list[str]) -> None:
        if len(bodies) == 1:
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=bodies[0])
            return
        for first in range(0, len(bodies), _SENT_AT_ONCE):
            part = bodies[first : first + _SENT_AT_ONCE]
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(part)]
            self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries)


def _working(cursor: Any, batch: int, calls: int) -> Callable[[int], None]:
    tasks = [events.task(number) for number in range(batch)]
    beside = psycopg2.connect(os.environ["BENCH_PREPARE_URL"])
    with closing(beside), beside, beside.cursor() as preparing:
        ids = [_insert(preparing, tasks) for _ in range(calls)]

    return lambda number: work(cursor, ids[number])


def _insert(cursor: Any, tasks: list[dict[str, Any]]) -> list[int]:
    titles, descriptions = (
        list(column) for column in zip(*(t.values() for t in tasks), strict=True)
    )
    cursor.execute(_INSERT, (titles, descriptions))
    return [row[0] for row in cursor.fetchall()]
