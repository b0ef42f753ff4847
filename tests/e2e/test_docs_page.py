"""The page at /docs, in a real browser where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
# What a page says on its console, as the browser logs it.
_CONSOLE = re.compile(r"CONSOLE.*")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs#post-/tasks", "/docs#get-/tasks"])
def test_a_browser_draws_the_page_and_its_policy_refuses_nothing(
    stack: Stack, path: str, tmp_path: Path
) -> None:
    def drawn() -> bool:
        console, picture = look(f"http://127.0.0.1:{stack.port}{path}", tmp_path)
        assert console == []
        # Before the description has come, the page is a fraction of that.
        return picture > 20_000

    eventually(drawn, 60)


def look(url: str, folder: Path) -> tuple[list[str], int]:
    """Return what a page says on the console, and the size of its picture in bytes."""
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
        *("--enable-logging=stderr", "--log-level=0", "--window-size=1280,960"),
        *("--virtual-time-budget=8000", f"--user-data-dir={folder / 'profile'}"),
        f"--screenshot={folder / 'page.png'}",
    ]
    done = subprocess.run(
        [str(BROWSER), *options, url],
        env=os.environ | {"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return _CONSOLE.findall(done.stderr), (folder / "page.png").stat().st_size
