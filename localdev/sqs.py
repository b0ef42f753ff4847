"""An SQS server of our own (moto's) as a child process; it forgets everything when it stops."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from pathlib import Path
from typing import IO

from localdev import processes
from localdev.child_server import ChildServer
from localdev.errors import StackError

START_LIMIT = 30.0  # seconds
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "AmazonSQS.ListQueues",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request",
}


class SqsServer(ChildServer):
    """The server, on 127.0.0.1 at ``port`` or, if that is taken or None, at a free one."""

    def __init__(self, *, port: int | None = None, log: Path | None = None) -> None:
        """Remember what is wanted; what the server complains of goes to ``log``, if given."""
        self._port = port
        self.log = log

    @property
    def endpoint(self) -> str:
        """The URL to give to boto3 as ``endpoint_url``."""
        return f"http://{processes.HOST}:{self._port}"

    def start(self) -> None:
        """Start the server; its endpoint is known and takes connections from here on."""
        with processes.listen(self._port) as listener:
            self._port = listener.getsockname()[1]
            with self._open_log() as log:
                # Handed the listening socket, the server cannot find its port taken.
                descriptor = listener.fileno()
                self._process = processes.start_python(
                    "localdev.sqs_server", str(descriptor), output=log, pass_fds=[descriptor]
                )

    def wait_until_ready(self) -> None:
        """Wait until the server answers ListQueues. Raises StackError if it does not."""
        deadline = time.monotonic() + START_LIMIT
        while self.running() and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._answers(deadline - time.monotonic()):
                    return
            time.sleep(0.02)
        lines = processes.last_lines(self.log) if self.log else ""
        raise StackError(
            f"the SQS server did not start ({self.ending()}); its last lines:\n{lines}"
        )

    def stop(self) -> None:
        """Stop the server; harmless when it does not run."""
        if self._process is not None:
            processes.stop(self._process, signal.SIGTERM, 2)
            self._process = None

    def _open_log(self) -> IO[bytes]:
        return Path(self.log or os.devnull).open("wb")

    def _answers(self, timeout: float) -> bool:
        connection = http.client.HTTPConnection(processes.HOST, self._port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("POST", "/", body=json.dumps({}), headers=_HEADERS)
            return connection.getresponse().status == http.HTTPStatus.OK
