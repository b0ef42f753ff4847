"""Commands that look at the running stack: psql, attributes, receive, env."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localdev.state import Running


def psql(running: Running, arguments: Sequence[str]) -> int:
    """Become psql on the stack's database. Raises StackError if there is no psql."""
    from psycopg2.extensions import make_dsn, parse_dsn  # noqa: PLC0415

    environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    parts = parse_dsn(running.environ["DATABASE_URL"])
    # By the environment: `ps` would show an argument to everybody.
    environ["PGPASSWORD"] = parts.pop("password", "")
    # People may take their time; the limits of the role are the service's.
    environ["PGOPTIONS"] = "-c statement_timeout=0 -c lock_timeout=0"
    sys.stdout.flush()
    try:
        os.execvpe(running.psql, ["psql", "-d", make_dsn(**parts), *arguments], environ)  # noqa: S606
    except FileNotFoundError:
        message = "no psql here; install a PostgreSQL client, or unset DATABASE_URL and start again"
        raise StackError(message) from None


def env(running: Running) -> int:
    """Print `export` lines that let other programs use the running stack."""
    for name, value in running.environ.items():
        print(f"export {name}={_quoted(value)}")
    return 0


def attributes(running: Running) -> int:
    """Print all attributes of the queues and their dead-letter queue as JSON."""
    client, urls = _queues(running)
    asked = ["All"]
    found = {
        url.rsplit("/", 1)[-1]: client.get_queue_attributes(QueueUrl=url, AttributeNames=asked)
        for url in urls
    }
    print(json.dumps({name: answer["Attributes"] for name, answer in found.items()}, indent=2))
    return 0


def receive(running: Running, *, dead_letter: bool) -> int:
    """Print one message of the queue as JSON, leaving it visible; "null" if there is none."""
    client, urls = _queues(running)
    answer = client.receive_message(
        QueueUrl=urls[1 if dead_letter else 0],
        MaxNumberOfMessages=1,
        VisibilityTimeout=0,
        WaitTimeSeconds=0,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    messages = answer.get("Messages", [])
    if messages:
        print("this cost the message one of its receives", file=sys.stderr)
    print(json.dumps(messages[0] if messages else None, indent=2, default=_text))
    return 0


def _queues(running: Running) -> tuple[Any, list[str]]:
    # In the function: the other commands need no boto3, which takes 0.3 s to import.
    from chalicelib.settings import Settings  # noqa: PLC0415
    from localdev.seed import make_client  # noqa: PLC0415

    os.environ.update(running.environ)
    settings = Settings.from_env()
    client = make_client(os.environ["AWS_ENDPOINT_URL_SQS"], settings.aws_region)
    names = [settings.queue_name, settings.dead_letter_queue_name]
    names += [name for name in (settings.high_queue_name,) if name]
    return client, [client.get_queue_url(QueueName=name)["QueueUrl"] for name in names]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
