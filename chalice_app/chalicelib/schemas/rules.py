"""Says which rules a value breaks, in the words that clients are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

    Path = tuple[int | str, ...]


def pointer(path: Path) -> dict[str, str]:
    """Name a place in a body: a JSON pointer as a URI fragment (RFC 6901, section 6)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"pointer": "#" + "".join(f"/{quote(step)}" for step in steps)}


def broken(
    error: ValidationError, place: Callable[[Path], dict[str, str]] = pointer
) -> list[dict[str, str]]:
    """Return each broken rule, ``{<where>: <name>, "detail": <rule>}``; it quotes no input."""
    found = error.errors(include_url=False, include_input=False)
    return [place(one["loc"]) | {"detail": _rule(one)} for one in found]


def _rule(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a known field"
        case "missing":
            return "is required"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return str(error["msg"]).replace("Input should", "should")
