"""What a stage's parts are called in AWS."""

from __future__ import annotations

from typing import Any

from localdev.errors import StackError

#: The short name, in config.json, of the function that answers requests.
API = "api_handler"


def check(config: dict[str, Any], stage: str) -> None:
    """Raise StackError unless config.json has the stage."""
    if stage not in config["stages"]:
        known = ", ".join(config["stages"])
        raise StackError(f"there is no stage {stage} in .chalice/config.json; there are {known}")


def stem(stage: str) -> str:
    """Return what every name of a stage begins with; it is the stack's whole name."""
    return f"tasks-{stage}"


def function(stage: str, short: str) -> str:
    """Return the name of a function, by its short name in config.json."""
    return stem(stage) if short == API else f"{stem(stage)}-{short}"
