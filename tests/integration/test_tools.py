"""Environments beside .venv: made once of a list, or not at all."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from localdev import tools
from localdev.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    return tmp_path


def test_an_environment_without_a_list_is_refused(root: Path) -> None:
    with pytest.raises(StackError, match=r"there is no requirements-nothing\.txt"):
        tools.python_of("nothing")
    assert list(root.iterdir()) == []


def test_an_environment_is_made_once_and_anew_when_its_list_changes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = root / "requirements-few.txt"
    listed.write_text("# none\n")
    python = tools.python_of("few")
    assert subprocess.run([python, "-c", ""], check=False).returncode == 0
    assert "Preparing .venv.few" in capsys.readouterr().err
    assert tools.python_of("few") == python
    assert capsys.readouterr().err == ""
    listed.write_text("# still none\n")
    tools.python_of("few")
    assert "Preparing .venv.few" in capsys.readouterr().err


def test_what_pip_has_against_a_list_is_told_and_the_environment_does_not_count(
    root: Path,
) -> None:
    (root / "requirements-bad.txt").write_text("./no/such/folder --hash=sha256:00\n")
    with pytest.raises(StackError, match=r"\.venv\.bad could not be made:\n(.|\n)*folder"):
        tools.python_of("bad")
    assert not (root / ".venv.bad" / "installed").exists()
