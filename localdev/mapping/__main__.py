"""Runs the mapping; kept bare, since every handler's process reads the main module again."""

from __future__ import annotations

if __name__ == "__main__":
    from localdev.mapping.function import preload

    # Before main's imports: the app is imported over there while we import boto3 here.
    preload()
    from localdev.mapping.main import main

    main()
