"""Runs a command, and turns what goes wrong into one line and an exit status."""

from __future__ import annotations

import io
import math
import os
import signal
import sys
from typing import TYPE_CHECKING

from tasks_client import Client, NotFinished, TasksError
from tasks_client.cli import commands
from tasks_client.cli.arguments import parser
from tasks_client.cli.commands import NOT_DONE, NOT_IN_TIME, WRONG_USE
from tasks_client.cli.output import Output, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

PATIENCE = 20.0  # seconds; somebody waits at the terminal


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever the terminal can show
    try:
        status = _run(parser().parse_args(arguments))
        sys.stdout.flush()
        return status
    except NotFinished as error:
        return _complain(error, NOT_IN_TIME)
    except TasksError as error:
        return _complain(error, NOT_DONE)
    except BrokenPipeError:
        # Nobody reads on. What is still buffered would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return _complain("interrupted; the service goes on", 128 + signal.SIGINT)


def _run(options: argparse.Namespace) -> int:
    try:
        client = _client()
    except ValueError as error:
        return _complain(error, WRONG_USE)
    with client:
        output = Output(sys.stdout, as_json=options.json)
        return commands.COMMANDS[options.command](client, options, output)


def _client() -> Client:
    url = os.environ.get("TASKS_URL")
    if not url:
        raise ValueError("set TASKS_URL to the service's address, as in http://127.0.0.1:8000")
    try:
        return Client(url, os.environ.get("TASKS_KEY") or None, timeout=_patience())
    except ValueError as error:
        raise ValueError(f"TASKS_URL or TASKS_KEY: {error}") from None


def _patience() -> float:
    text = os.environ.get("TASKS_TIMEOUT") or str(PATIENCE)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise ValueError("TASKS_TIMEOUT is a number of seconds")
    return seconds


def _complain(what: object, status: int) -> int:
    about = getattr(what, "request_id", None)
    suffix = f" (request {about})" if about else ""
    print(f"tasks: {printable(str(what))}{printable(suffix)}", file=sys.stderr)  # noqa: T201
    return status
