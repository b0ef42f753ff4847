"""The command line: tasks create | get | list | wait | cancel | retry | delete | attempts."""

from __future__ import annotations

import sys

from tasks_client.cli.program import main


def run() -> None:
    """Run what the process was told to, and exit with its status."""
    sys.exit(main(sys.argv[1:]))
