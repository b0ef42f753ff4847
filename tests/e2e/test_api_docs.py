"""What tells of the API, run from its beginning to its end as printed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_readme import path  # noqa: F401  (a fixture)
from tests.tree import ROOT

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

PAGES = ("api.md", "limits.md", "schedules.md")
DOCS = "\n".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
END = "=== end of a block ==="


@pytest.fixture(scope="module")
def answers(stack: Stack, path: str) -> list[str]:  # noqa: F811
    """What each block printed; one shell runs them all, as a reader's would."""
    script = f"\necho; echo '{END}'\n".join(BLOCKS)
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", script.replace("localhost:8000", f"localhost:{stack.port}")],
        env={"PATH": path, "HOME": str(stack.folder)},
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(END)


def test_every_block_runs_and_none_is_refused(answers: list[str]) -> None:
    assert len(answers) == len(BLOCKS)
    assert [answer for answer in answers if '"urn:problem-type' in answer] == []


def test_what_the_text_says_of_the_answers_holds(answers: list[str]) -> None:
    told: dict[str, str] = dict(zip(BLOCKS, answers, strict=True))

    def answer(words: str) -> str:
        return next(text for block, text in told.items() if words in block)

    replay = answer("Charge the card")
    assert "Idempotency-Replayed: true" in replay
    assert len(set(re.findall(r'"id":(\d+)', replay))) == 1
    assert '"status":"completed"' in answer("Be quick")
    assert "ETag: " in answer("Look at me")
    assert '"title":"Two"' in answer("tag=demo")
    assert '"status":"pending"' in answer("PATCH")
    assert '"ids":' in answer("/tasks/retry")
    assert "204 No Content" in answer("DELETE")
    assert '"paused":true' in answer("/pause")
    assert '"running_per_key":2' in answer("running_per_key")
    assert '"next":["' in answer('"Nightly report", "tags"')
    assert '"paused":true' in answer('"paused": true')


def test_every_call_has_a_command() -> None:
    import app

    calls = "\n".join(BLOCKS)
    for route in app.app.routes:
        if route.startswith(("/docs/", "/page")):
            continue  # what a browser loads with the page
        named = route.replace("{task_id}", "$id").replace("{schedule_id}", "$id")
        assert named.replace("{kind}", "http.call") in calls
