"""The files of the project, as git would name them, or without git as they lie there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What .gitignore names.
_IGNORED = {
    ".git",
    ".venv",
    ".local",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".import_linter_cache",
    ".hypothesis",
    "deployed",
    "deployments",
}


def files() -> list[Path]:
    """Return every file of the project, relative to its root; a link counts as a file."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        named = [Path(name) for name in told.stdout.decode().split("\0") if name]
        return [path for path in named if (ROOT / path).exists()]
    return list(_below(ROOT))


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name in _IGNORED or path.suffix == ".pyc" or path.name.startswith(".venv."):
            continue
        if path.is_dir() and not path.is_symlink():
            found += _below(path)
        else:
            found.append(path.relative_to(ROOT))
    return found
