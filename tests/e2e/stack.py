"""A stack as a developer has it: a copy of the tree, a handler of their own, one command."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from localdev.processes import listen
from tests.tree import ROOT, files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HANDLER = """
from chalicelib.registry import handler

@handler("always_fails")
def always_fails(task, context):
    raise ValueError("this never works")
"""


def copy_tree(folder: Path) -> Path:
    """Copy the project, share the virtual environment, and add handlers as a reader would."""
    for path in files():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target, follow_symlinks=False)
    for environment in ROOT.glob(".venv*"):
        (folder / environment.name).symlink_to(environment)
    handlers = folder / "chalice_app/chalicelib/handlers"
    (handlers / "always_fails.py").write_text(HANDLER)
    (handlers / "greet.py").write_text(greeting())
    return folder


def greeting() -> str:
    """Return the handler that the README has its reader write."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return next(
        str(code)
        for code in re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
        if '@handler("greet"' in code
    )


def free_port() -> int:
    with listen() as listener:
        return int(listener.getsockname()[1])


class Stack:
    """A running stack; its printed lines are in ``lines``."""

    def __init__(self, folder: Path, *flags: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.lines: list[str] = []
        self._flags = flags
        self._settings = settings
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            ["scripts/dev.sh", "--port", str(self.port), *self._flags],
            cwd=self.folder,
            # Nothing of this process's own settings: a stack starts from its defaults.
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self._settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ended_or_ready = self._ready.wait(60)
        if not ended_or_ready or f"ready http://127.0.0.1:{self.port}" not in self.lines:
            self.__exit__()
            raise AssertionError("\n".join(self.lines))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)  # harmless when it has ended
        self.process.wait(30)
        self._reader.join(10)
        if self.process.stdout:
            self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))
            if line.strip() == f"ready http://127.0.0.1:{self.port}":
                self._ready.set()
        self._ready.set()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send one request on a connection of its own; return the status and the JSON."""
        connection = self.connect()
        try:
            return exchange(connection, method, path, body)
        finally:
            connection.close()

    def task(self, task_id: int) -> dict[str, Any]:
        return dict(self.call("GET", f"/tasks/{task_id}")[1])

    def environ(self) -> dict[str, str]:
        """What ``python -m localdev env`` tells a shell."""
        told = self.local("env")
        words = (shlex.split(line)[1] for line in told.splitlines())
        return dict(word.partition("=")[::2] for word in words)

    def local(self, *arguments: str) -> str:
        done = subprocess.run(
            [".venv/bin/python", "-m", "localdev", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, raw, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def eventually(condition: Callable[[], Any], seconds: float) -> Any:
    """Return the first true value of ``condition``; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
