"""Runs schemathesis against a stack with keys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from chalicelib.access import new_key
from chalicelib.db import Database
from chalicelib.store import KeyStore
from tests.tree import ROOT

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

_CASES = re.compile(r"^ +([\d,]+) generated", re.MULTILINE)


def make_key(stack: Stack) -> str:
    """Return a key that may do everything."""
    database, key = Database(stack.environ()["DATABASE_URL"]), new_key()
    KeyStore(database.query).insert_key(
        key, tenant="default", name="fuzz", scopes=["admin"], lifetime=None
    )
    database.close()
    return key.text


class Fuzzer:
    """Asks one stack, with a key of its own."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"http://127.0.0.1:{stack.port}/openapi.json"
        self._environ = os.environ | {
            "FUZZ_KEY": make_key(stack),
            "PYTHONPATH": "chalice_app:.",
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        }

    def ask(self, *options: str) -> tuple[bool, int, str]:
        """Return whether all answers were right, the number of requests, and the report."""
        config = ("--config-file", "tests/fuzz/schemathesis.toml")
        program = (sys.executable, "-m", "schemathesis.cli", *config, "run", self._url)
        done = subprocess.run(
            [*program, "--no-color", *options],
            cwd=ROOT,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        cases = _CASES.search(done.stdout)
        return done.returncode == 0, int(cases[1].replace(",", "")) if cases else 0, done.stdout
