"""What a snapshot of an imported app holds: nothing that its copies may not share."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chalicelib import runtime
from chalicelib.policy import Backoff
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Everything through which a process could reach another, closed before the app is imported.
OFFLINE = """
import socket, sys
import psycopg2

def refuse(*_, **__):
    raise AssertionError("reached out while it was imported")

socket.socket = socket.create_connection = socket.getaddrinfo = psycopg2.connect = refuse
sys.path.insert(0, "chalice_app")
import app
from chalicelib import runtime
print(runtime.current.cache_info().currsize, "boto3" in sys.modules)
"""


@pytest.fixture
def restored() -> Iterator[None]:
    """A process that has no runtime yet, and will have none afterwards."""
    runtime.current.cache_clear()
    yield
    runtime.current.cache_clear()


def test_importing_the_app_connects_to_nothing_and_builds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "0 False\n"), done.stderr


@pytest.mark.usefixtures("restored")
def test_processes_restored_from_one_snapshot_wait_differently() -> None:
    # As SnapStart does it: memory is copied, and none of it is told.
    snapshot = random.getstate()
    waits = set()
    for _ in range(2):
        random.setstate(snapshot)
        runtime.current.cache_clear()
        runtime.current()
        waits.add(Backoff(base=30, longest=3600).after(2))
    random.setstate(snapshot)
    same = Backoff(base=30, longest=3600).after(2)
    random.setstate(snapshot)
    assert Backoff(base=30, longest=3600).after(2) == same  # so it is the runtime that differs
    assert len(waits - {same}) == 2
