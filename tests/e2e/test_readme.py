"""Every command in the README is run as printed."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.e2e.stack import ROOT, Stack

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
#: These stay running or run the tests themselves: the stack and CI start with them.
STARTED = {"scripts/dev.sh\n", "scripts/test.sh\n"}
#: These ask AWS.
DEPLOYING = re.compile(r"^chalice (deploy|package)|aws ", re.MULTILINE)


def test_there_are_commands_and_the_two_that_set_up_are_among_them() -> None:
    assert len(BLOCKS) > 8
    assert set(BLOCKS) >= STARTED
    assert "scripts/test.sh" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_no_command_hides_in_another_kind_of_block() -> None:
    others = re.findall(r"^```(?!sh\n)(\w*)\n", README, re.MULTILINE)
    assert set(others) <= {"", "text", "json", "python", "mermaid"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b not in STARTED])
def test_a_command_runs_as_printed(stack: Stack, block: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", block.replace("localhost:8000", f"localhost:{stack.port}")],
        cwd=stack.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(stack.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
