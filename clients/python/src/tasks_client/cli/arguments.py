"""What the command line takes."""

from __future__ import annotations

import argparse
import json
import math
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks_client.models import Status

EPILOG = """\
environment: TASKS_URL (the service's address), TASKS_KEY (an API key, if the service wants one),
TASKS_TIMEOUT (seconds until a request that fails in passing is given up; 20).

exit status: 0 done; 1 of wait and create --wait: a task failed or was cancelled; 2 wrong use; 3 the
service refused or could not be reached; 4 of wait and create --wait: the time was over first; 130
interrupted."""


def parser() -> argparse.ArgumentParser:
    """Make the parser."""
    made = argparse.ArgumentParser(
        prog="tasks",
        description="Create, watch and repair tasks of a task service.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_create, _get, _list, _wait, _cancel, _retry, _delete, _attempts):
        command = add(commands)
        command.allow_abbrev = False
        command.add_argument("--json", action="store_true", help="print one JSON object a line")
    return made


def _create(commands: Any) -> argparse.ArgumentParser:
    command = _command(commands, "create", "create a task, and print it")
    add = command.add_argument
    add("title")
    add("--description")
    add("--kind", help="which handler works it")
    add("--payload", type=_payload, help="a JSON object; @FILE reads a file, - standard input")
    add("--tag", dest="tags", action="append", help="may be given more than once")
    when = command.add_mutually_exclusive_group()
    when.add_argument("--run-at", type=_moment, metavar="TIME", help="2026-11-25T03:00:00Z")
    when.add_argument("--delay", type=_seconds, metavar="SECONDS")
    add("--expires-at", type=_moment, metavar="TIME", help="fails if not begun by then")
    add("--unique-key", help="create nothing if a task with this key exists")
    add("--unique-scope", choices=("open", "forever"))
    add("--priority", choices=("normal", "high"))
    add("--idempotency-key", help="the same key again returns the first task")
    add("--wait", type=_seconds, default=0.0, metavar="SECONDS", help="for the task to finish")
    return command


def _get(commands: Any) -> argparse.ArgumentParser:
    return _with_id(_command(commands, "get", "show a task"))


def _list(commands: Any) -> argparse.ArgumentParser:
    command = _command(commands, "list", "list tasks, newest first")
    command.add_argument("--status", choices=[status.value for status in Status])
    command.add_argument("--limit", type=_count, default=50, help="at most so many; default 50")
    return _with_filters(command)


def _wait(commands: Any) -> argparse.ArgumentParser:
    command = _command(commands, "wait", "wait until tasks are finished")
    command.add_argument("ids", type=_id, nargs="*", metavar="ID")
    command.add_argument("--tag", help="all tasks that have it")
    command.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="default: for ever")
    return command


def _cancel(commands: Any) -> argparse.ArgumentParser:
    return _with_ids(_command(commands, "cancel", "cancel tasks"), "+")


def _retry(commands: Any) -> argparse.ArgumentParser:
    command = _with_ids(_command(commands, "retry", "give failed tasks new attempts"), "*")
    command.add_argument("--status", choices=("failed", "cancelled"))
    command.add_argument("--limit", type=_count, help="at most so many; 1,000 at most")
    return _with_filters(command)


def _delete(commands: Any) -> argparse.ArgumentParser:
    return _with_ids(_command(commands, "delete", "delete finished tasks"), "+")


def _attempts(commands: Any) -> argparse.ArgumentParser:
    return _with_id(_command(commands, "attempts", "show every attempt of a task"))


def _command(commands: Any, name: str, told: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=told, description=told)
    return made


def _with_id(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("id", type=_id, metavar="ID")
    return command


def _with_ids(command: argparse.ArgumentParser, count: str) -> argparse.ArgumentParser:
    command.add_argument("ids", type=_id, nargs=count, metavar="ID")
    return command


def _with_filters(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--kind")
    command.add_argument("--tag")
    command.add_argument("--text", metavar="WORDS", help="of the title")
    command.add_argument("--created-after", type=_moment, metavar="TIME")
    command.add_argument("--created-before", type=_moment, metavar="TIME")
    return command


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("an ID is a positive number")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("give a positive number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("give a number of seconds")
    return seconds


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  (refused below, like any without an offset)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("give a time with its offset, as 2026-11-25T03:00:00Z")
    return moment


def _payload(text: str) -> dict[str, Any]:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        value = json.loads(text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"not a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value
