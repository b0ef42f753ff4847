"""The real app with handlers that end their process, as an app folder for a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localdev.mapping.function import Function, InvocationFailed
from localdev.mapping.source import Source
from localdev.processes import APP

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_APP = """
import importlib.util, os, signal, sys, time
os.environ.update({environ!r})
from chalicelib.registry import handler

def note(task, context):
    with open({effects!r}, "a") as effects:
        effects.write(context.idempotency_key + "\\n")

@handler("killed")
def killed(task, context):
    note(task, context)
    if task.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {{"attempt": task.attempts_spent}}

@handler("poison")
def poison(task, context):
    note(task, context)
    os._exit(1)

@handler("hangs")
def hangs(task, context):
    note(task, context)
    time.sleep(600)

@handler("deaf")
def deaf(task, context):
    note(task, context)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

spec = importlib.util.spec_from_file_location("front_door", {door!r})
front_door = importlib.util.module_from_spec(spec)
sys.modules["front_door"] = front_door
spec.loader.exec_module(front_door)
app = front_door.app
"""


class WorkerProcess:
    """The worker in a process of its own, which is replaced when it ends, as in Lambda."""

    def __init__(self, folder: Path, environ: dict[str, str], limit: float) -> None:
        """``limit`` is the worker's time limit in seconds."""
        self._effects = folder / "effects"
        environ = environ | {"PARTIAL_BATCH": "report", "WORKER_TIMEOUT": str(int(limit))}
        names = {"environ": environ, "effects": str(self._effects), "door": str(APP / "app.py")}
        (folder / "app.py").write_text(_APP.format(**names))
        self._function = Function(Source(folder), "worker", limit)
        self.deaths: list[str] = []

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the worker's answer; when it ends without one, every message is kept."""
        try:
            answer: dict[str, Any] = self._function.invoke(event)
        except InvocationFailed as failure:
            self.deaths.append(str(failure))
            names = [record["messageId"] for record in event["Records"]]
            return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}
        return answer

    def effects(self) -> list[str]:
        """Return the key of every effect that handlers had outside the database."""
        return self._effects.read_text().split() if self._effects.exists() else []

    def close(self) -> None:
        self._function.close()
