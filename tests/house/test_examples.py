"""A handler that a page shows is one that scripts/check.sh takes as it is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.tree import ROOT

#: A handler that is to be written by a newcomer has fewer lines.
MOST_LINES = 30
HANDLERS = "chalice_app/chalicelib/handlers/shown.py"
TESTS = "tests/unit/test_shown.py"


def blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


SHOWN = [
    (page, block)
    for page in ("README.md", "docs/handlers.md")
    for block in blocks(page)
    if "import" in block and "\n@handler(" in block
]


def check(source: str, where: str) -> str:
    told = ""
    for command in (["check", "--output-format=concise"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--quiet", f"--stdin-filename={where}", "-"],
            cwd=ROOT,
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        told += done.stdout + done.stderr
    return told


def test_whole_handlers_are_shown() -> None:
    assert [page for page, _ in SHOWN] == ["README.md", "docs/handlers.md", "docs/handlers.md"]


@pytest.mark.parametrize(("page", "source"), SHOWN)
def test_a_handler_that_is_shown_is_short_and_passes_the_checks(page: str, source: str) -> None:
    assert len(source.splitlines()) < MOST_LINES, page
    assert check(source, HANDLERS) == ""


def test_the_tests_of_a_handler_that_are_shown_pass_the_checks() -> None:
    shown = [block for block in blocks("docs/handlers.md") if "\ndef test_" in f"\n{block}"]
    together = "\n\n".join(block for block in shown if "psycopg2" not in block)
    assert check(together, TESTS) == ""
