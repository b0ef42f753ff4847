"""The page at /docs, in a real browser where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
# What a page says on its console, as the browser logs it.
_CONSOLE = re.compile(r"CONSOLE.*")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs#post-/tasks", "/docs#get-/tasks"])
def test_a_browser_draws_the_page_and_its_policy_refuses_nothing(
    stack: Stack, path: str, tmp_path: Path
) -> None:
    picture = tmp_path / "page.png"
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
        *("--enable-logging=stderr", "--log-level=0", "--window-size=1280,960"),
        *("--virtual-time-budget=8000", f"--user-data-dir={tmp_path / 'profile'}"),
        f"--screenshot={picture}",
    ]
    done = subprocess.run(
        [str(BROWSER), *options, f"http://127.0.0.1:{stack.port}{path}"],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert _CONSOLE.findall(done.stderr) == []
    # White paper alone is a fifth of that.
    assert picture.stat().st_size > 20_000
