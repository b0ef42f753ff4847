"""What a stage's parts are called in AWS."""

from __future__ import annotations

#: The short name, in config.json, of the function that answers requests.
API = "api_handler"


def stem(stage: str) -> str:
    """Return what every name of a stage begins with; it is the stack's whole name."""
    return f"tasks-{stage}"


def function(stage: str, short: str) -> str:
    """Return the name of a function, by its short name in config.json."""
    return stem(stage) if short == API else f"{stem(stage)}-{short}"
