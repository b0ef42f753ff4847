"""The command line, for a Python whose scripts are not on the PATH: python -m tasks_client."""

from __future__ import annotations

from tasks_client.cli import run

if __name__ == "__main__":
    run()
