"""Runs the mapping; kept bare, since every handler's process reads the main module again."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    from localdev.mapping.declared import stage_environ
    from localdev.processes import APP

    # Chalice lets the stage's variables win over the shell's.
    os.environ.update(stage_environ(APP))
    if "--package" not in sys.argv:
        from localdev.mapping.source import preload

        # Before main's imports: the app is imported over there while we import boto3 here.
        preload()
    from localdev.mapping.main import main

    main()
