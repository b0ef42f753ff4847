"""Every command in the README is run as printed, and answers what is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stack import eventually
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [text for language, text in FENCES if language == "sh"]
#: These stay running or run the tests themselves: the stack and CI start with them.
STARTED = {"scripts/dev.sh\n", "scripts/test.sh\n"}
#: Commands followed by what they answer.
ANSWERED = [
    (text, following)
    for (language, text), (after, following) in pairwise(FENCES)
    if language == "sh" and after == "json"
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH whose curl fails where the server does, which plain curl does not."""
    curl = shutil.which("curl")
    if curl is None:
        message = "curl is not installed, and the README's commands use it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder: Path = tmp_path_factory.mktemp("bin")
    shim = folder / "curl"
    shim.write_text(
        f"""#!/bin/sh
        {curl} -D "{folder}/headers" "$@" && ! grep -q '^HTTP/[0-9.]* 5' "{folder}/headers"
        """
    )
    shim.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def run(stack: Stack, command: str, path: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", command.replace("localhost:8000", f"localhost:{stack.port}")],
        cwd=stack.folder,
        env={"PATH": path, "HOME": str(stack.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shape(value: Any) -> Any:
    """Reduce JSON to its keys and types."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def test_there_are_commands_and_the_two_that_set_up_are_among_them() -> None:
    assert len(COMMANDS) > 8
    assert set(COMMANDS) >= STARTED
    assert "scripts/test.sh" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_no_command_hides_in_another_kind_of_block() -> None:
    assert {language for language, _ in FENCES} <= {"sh", "text", "json", "python", "mermaid"}


@pytest.mark.parametrize("command", [text for text in COMMANDS if text not in STARTED])
def test_a_command_runs_as_printed(stack: Stack, path: str, command: str) -> None:
    answer = run(stack, command, path)
    if command.startswith("curl -s http") and '"title":""' not in command:
        assert "urn:problem-type" not in answer


@pytest.mark.parametrize(("command", "printed"), ANSWERED)
def test_a_command_answers_what_is_printed(
    stack: Stack, path: str, command: str, printed: str
) -> None:
    told, answer = json.loads(printed), json.loads(run(stack, command, path))
    if told.get("status") == "completed":  # task 1, whoever made it
        assert answer["status"] == "completed"
        assert answer.keys() == told.keys()
        return
    assert list(answer) == list(told)
    assert shape(answer) == shape(told)
    assert answer["status"] == told["status"]


def test_the_handler_of_the_readme_greets(stack: Stack) -> None:
    task = {"title": "Say hello", "kind": "greet", "payload": {"name": "Ada"}}
    status, created = stack.call("POST", "/tasks", task)
    assert status == 201

    def result() -> Any:
        return stack.task(created["id"])["result"]

    greeted = eventually(result, 5)
    assert greeted["greeting"] == "Hello, Ada!"
    assert greeted["key"].startswith(f"task-{created['id']}-")


def test_the_handler_of_the_readme_fails_twice_and_then_succeeds(stack: Stack) -> None:
    payload = {"name": "Ada", "missed_calls": 2}
    task = {"title": "Call", "kind": "greet", "payload": payload}
    _, created = stack.call("POST", "/tasks", task)
    assert created["attempt_limit"] == 6
    greeted = eventually(lambda: stack.task(created["id"])["result"], 30)
    assert greeted["greeting"] == "Hello, Ada!"
    _, told = stack.call("GET", f"/tasks/{created['id']}/attempts")
    assert [one["outcome"] for one in told["items"]] == ["retrying", "retrying", "completed"]
