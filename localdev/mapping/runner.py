"""The process that a function runs in: one event at a time, kept warm between them."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localdev.mapping import declared
from localdev.mapping.events import ACCOUNT
from localdev.processes import follow_forking_parent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class Invocation:
    """What a function is invoked with; the deadline is on time.monotonic()'s clock."""

    event: dict[str, Any]
    deadline: float
    trace_id: str


@dataclass(frozen=True)
class Raised:
    """The function raised an exception."""

    kind: str
    text: str


class Context:
    """What Lambda passes beside the event."""

    memory_limit_in_mb = "1024"
    function_version = "$LATEST"

    def __init__(self, function: str, deadline: float) -> None:
        """``deadline`` is on time.monotonic()'s clock."""
        region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        self.function_name = function
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function}"
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function}"
        self.log_stream_name = "local"
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left before the process is killed."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def run(connection: Connection, app_folder: str, function: str) -> None:
    """Import the app, say what it declares, then answer invocations until the pipe closes."""
    follow_forking_parent()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(declared.stage_environ(Path(app_folder), function))
    if app_folder not in sys.path:
        sys.path.insert(0, app_folder)
    app = importlib.import_module("app").app
    connection.send(declared.read(app))
    handler = app.handler_map.get(function)
    while True:
        try:
            invocation = connection.recv()
        except EOFError:
            return
        connection.send(_invoke(handler, function, invocation))


def _invoke(handler: Any, function: str, invocation: Invocation) -> Any:
    os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
    context = Context(function, invocation.deadline)
    try:
        reply = handler(invocation.event, context)
        # Lambda serialises the reply; what cannot be is an error of the function.
        return json.loads(json.dumps(reply))
    except Exception as error:  # noqa: BLE001  (whatever a handler raises is its reply)
        traceback.print_exc()
        return Raised(type(error).__name__, str(error))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
