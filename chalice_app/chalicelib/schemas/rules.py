"""Says which rules a value breaks, in the words that clients are told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chalicelib.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

    Path = tuple[int | str, ...]

#: Broken rules that one answer names; of the others it says how many there are.
MOST_NAMED = 100
#: What is shown of the names that a client made up: so many characters, and steps of a pointer.
LONGEST_NAME, LONGEST_PATH = 100, 40

_SUBJECT = re.compile(r"^\w+ (?=should )")


class Broken:
    """The rules that a request breaks; it quotes no input but names, and those not at length."""

    def __init__(self) -> None:
        """Begin with none."""
        self._named: list[dict[str, str]] = []
        self._count = 0

    def add(self, where: dict[str, str], rule: str) -> None:
        """Add one: ``where`` it was broken, by the name of a pointer or a parameter."""
        self._count += 1
        if len(self._named) < MOST_NAMED:
            self._named.append(where | {"detail": rule})

    def add_all(
        self, error: ValidationError, place: Callable[[Path], dict[str, str]], count: int = 0
    ) -> None:
        """Add what pydantic found; ``count`` tells of more than it was shown."""
        self._count += count or error.error_count()
        left = MOST_NAMED - len(self._named)
        found = error.errors(include_url=False, include_input=False) if left else []
        self._named += [place(one["loc"]) | {"detail": _rule(one)} for one in found[:left]]

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self._count > 0

    def refusal(self) -> InvalidRequest:
        """Return the error that names them, or as many as one answer may."""
        return InvalidRequest.naming(self._named, self._count)


def pointer(path: Path) -> dict[str, str]:
    """Name a place in a body: a JSON pointer as a URI fragment (RFC 6901, section 6)."""
    shown = path if len(path) <= LONGEST_PATH else (*path[:LONGEST_PATH], "…")
    steps = (cut(step).replace("~", "~0").replace("/", "~1") for step in shown)
    return {"pointer": "#" + "".join(f"/{quote(step)}" for step in steps)}


def parameter(path: Path) -> dict[str, str]:
    """Name a parameter of a query."""
    return {"parameter": cut(path[0])}


def cut(name: int | str) -> str:
    """Return the beginning of a name, with an ellipsis where there was more."""
    text = str(name)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"


def _rule(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a known field" + _length(error["loc"][-1])
        case "missing":
            return "is required"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return _SUBJECT.sub("", str(error["msg"]))


def _length(name: int | str) -> str:
    size = len(str(name))
    return f" (its name, cut here, has {size:,} characters)" if size > LONGEST_NAME else ""
