"""The plain algorithm, for comparison: commit, send, and hope.

The API stores a task and sends its message; when that fails it marks the task failed. The worker
sets ``processing``, runs the task and sets ``completed``, or ``failed`` when the handler raises,
each by the task's id alone. Nothing looks after what falls between.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from localdev.http_server import Server
from soak.lane import poll, sqs_client
from soak.work import SLOWLY, effects, ending, result

if TYPE_CHECKING:
    import socket

    from localdev.mapping.runner import Context

_ZOMBIE = float(os.environ["SOAK_ZOMBIE"])
# attempt to attempts are for the oracle: how often the task was begun.
_SCHEMA = """
create table tasks (
    id bigint generated always as identity primary key,
    title text not null,
    description text,
    status text not null default 'pending',
    result jsonb,
    error jsonb,
    attempt integer not null default 0,
    attempt_limit integer not null default 3,
    release_count integer not null default 0,
    attempts jsonb not null default '[]',
    created_at timestamptz not null default now(),
    updated_at timestamptz
)
"""
_CREATE = "insert into tasks (title, description) values (%s, %s) returning id"
_BEGIN = """
update tasks set status = 'processing', attempt = attempt + 1, updated_at = now()
 where id = %s returning attempt
"""
_END = "update tasks set status = %s, result = %s, updated_at = now() where id = %s returning id"


def prepare(number: int) -> None:  # noqa: ARG001  (all targets are called alike)
    """Create the table."""
    _query(_SCHEMA)


def api(number: int, listener: socket.socket) -> None:  # noqa: ARG001
    """Serve HTTP on a listening socket that others may serve too."""
    Front.sqs = sqs_client()
    Server(listener.detach(), Front).serve_forever(poll_interval=60)


def worker(number: int) -> None:  # noqa: ARG001
    """Work batches of messages."""
    poll(work, float(os.environ["WORKER_TIMEOUT"]))


class Front(BaseHTTPRequestHandler):
    """POST /tasks and nothing else."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    sqs: Any

    def do_POST(self) -> None:
        """Create a task."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            task_id = _query(_CREATE, body["title"], body["description"])
            self._send(task_id, body)
        except (psycopg2.Error, BotoCoreError, ClientError) as error:
            self._answer(500, {"detail": str(error)})
        else:
            self._answer(201, {"id": task_id, "status": "pending"})

    def log_message(self, *args: object) -> None:
        """Log nothing."""

    def _send(self, task_id: int, body: dict[str, Any]) -> None:
        message = {"task_id": task_id, "title": body["title"], "description": body["description"]}
        url = os.environ["SOAK_QUEUE_URL"]
        try:
            self.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        except (BotoCoreError, ClientError) as error:
            _query(_END, "failed", json.dumps(f"Failed to send to SQS: {error}"), task_id)
            raise

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()


def work(event: dict[str, Any], context: Context) -> None:
    """Work one message after the other; what goes wrong with the database ends the batch."""
    for record in event["Records"]:
        task_id = json.loads(record["body"])["task_id"]
        attempt = _query(_BEGIN, task_id)
        if attempt is None:
            continue
        try:
            value = _process(task_id, attempt, context)
        except ValueError as error:
            _query(_END, "failed", json.dumps(f"Error: {error}"), task_id)
        else:
            _query(_END, "completed", json.dumps(value), task_id)


def _process(task_id: int, attempt: int, context: Context) -> dict[str, Any]:
    def remaining() -> float:
        return context.get_remaining_time_in_millis() / 1000

    run = effects.leave(task_id, attempt, remaining)
    end = ending(int(os.environ["SOAK_SEED"]), task_id, attempt)
    time.sleep(end.seconds)
    if end.name in ("transient", "permanent"):
        raise ValueError(f"it did not work: {end.name}")
    if end.name == "slow":
        time.sleep(SLOWLY)
    if end.name == "overtime":
        time.sleep(remaining())
    if end.name == "successor":
        time.sleep(_ZOMBIE)
    if end.name == "zombie":
        time.sleep(remaining() + _ZOMBIE)
    return result(task_id, attempt, run)


def _query(statement: str, *arguments: Any) -> Any:
    connection = psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=3)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        row = cursor.fetchone() if cursor.description else None
        connection.commit()
        return row[0] if row else None
