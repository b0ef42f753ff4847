"""One process that runs a packaged function under AWS's runtime client, as Lambda starts it."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import threading
import time
import uuid
from typing import IO, TYPE_CHECKING, Any

from localdev import processes
from localdev.lambda_runtime.api import Handed, RuntimeApi, Said
from localdev.mapping.events import ACCOUNT
from localdev.mapping.function import InvocationFailed, ended, timed_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Sandbox:
    """A process and the Runtime API that it talks to."""

    def __init__(
        self,
        command: Sequence[str | Path],
        home: Path,
        environ: Mapping[str, str],
        output: IO[Any] | None = None,
    ) -> None:
        """Start ``command`` in the folder ``home``; ``environ`` is all of its environment.

        What it writes goes to ``output``, or where our own goes.
        """
        self._api = RuntimeApi()
        self._name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        region = environ["AWS_REGION"]
        self._arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{self._name}"
        self._begun, self.init_seconds = time.perf_counter(), 0.0
        self._process = subprocess.Popen(  # noqa: S603  (a package of ours)
            command,
            cwd=home,
            env={**environ, "AWS_LAMBDA_RUNTIME_API": self._api.address},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # As in Lambda it never outlives us; a thread that starts one has to stay.
            preexec_fn=functools.partial(processes.die_with_parent, signal.SIGKILL),  # noqa: PLW1509
        )
        self._watch = threading.Thread(target=self._see_it_end, daemon=True)
        self._watch.start()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until it asks for an event, and note how long that took.

        Raises InvocationFailed with the error that it told, if it never does.
        """
        said = self._hear(seconds, "next", "init_error")
        if said.what == "init_error":
            self.kill()
            raise InvocationFailed(f"did not start: {_told(said)}")
        self.init_seconds = time.perf_counter() - self._begun

    def alive(self) -> bool:
        """Tell whether it can still be invoked."""
        return self._process.poll() is None

    def invoke(self, event: Any, seconds: float, trace_id: str) -> Any:
        """Return the reply to ``event``. Raises InvocationFailed if there is none in time.

        That ends the process, as it does in Lambda; an error that was told does not.
        """
        request_id = str(uuid.uuid4())
        deadline = time.time() + seconds
        body = json.dumps(event).encode()
        self._api.hand(Handed(request_id, self._arn, trace_id, deadline, body))
        said = self._hear(seconds, "response", "error")
        if said.what == "error":
            raise InvocationFailed(_told(said))
        return json.loads(said.body)

    def kill(self) -> None:
        """End it, whatever it does; an invocation under way fails."""
        processes.kill(self._process)
        self._process.wait()

    def close(self) -> None:
        """End it, and what it talked to."""
        self.kill()
        self._watch.join()

    def _hear(self, seconds: float, *wanted: str) -> Said:
        until = time.monotonic() + seconds
        while said := self._api.hear(until - time.monotonic()):
            if said.what == "ended":
                raise ended("ended without a reply", self._process.returncode)
            if said.what in wanted:
                return said
        self.kill()
        raise timed_out(seconds)

    def _see_it_end(self) -> None:
        self._process.wait()
        self._api.tell(Said("ended"))
        self._api.close()


def _told(said: Said) -> str:
    error: dict[str, Any] = json.loads(said.body)
    return f"{error.get('errorType')}: {error.get('errorMessage')}"
