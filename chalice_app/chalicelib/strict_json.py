"""JSON that PostgreSQL's jsonb and every JSON parser accept, and nothing else (RFC 8259)."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from chalicelib.errors import NotStorable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The largest value kept on a task, in bytes of UTF-8.
MAX_BYTES = 256 * 1024
_NESTED = (dict, list, tuple)
#: The deepest value kept: pydantic reads 200 levels and writes 255, some of them an answer's own.
MAX_DEPTH = 200

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
# What most texts are spared the search for; Python writes an exponent with its sign.
_EXPONENTS, _EXPONENT = ("e+", "e-"), re.compile(r"\de[+-]\d\d")
# An escaped NUL that is not itself an escaped backslash followed by "u0000".
_NULS, _NUL = "\\u0000", re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def encode(value: Any, *, max_bytes: int = MAX_BYTES) -> str:
    """Return ``value`` as compact JSON text.

    Raises NotStorable, saying why, for what jsonb cannot keep: types that are not JSON, NaN
    and infinities, NUL characters, lone surrogates, more than MAX_DEPTH levels of nesting,
    more than ``max_bytes`` bytes of UTF-8.
    """
    try:
        text = _ENCODER.encode(value)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotStorable("must not contain lone surrogates") from None
    except RecursionError:
        raise NotStorable("is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotStorable(f"is not JSON ({error})") from None
    if _NULS in text and _NUL.search(text):
        raise NotStorable("must not contain NUL characters")
    if size > max_bytes:
        raise NotStorable(f"takes {size:,} bytes as JSON; at most {max_bytes:,} are kept")
    if _has_exponents(text) and size + _written_out(value) > max_bytes:
        raise NotStorable(f"has numbers that take more than {max_bytes:,} bytes written out")
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
        raise NotStorable("is nested too deeply")
    return text


def _has_exponents(text: str) -> bool:
    return any(one in text for one in _EXPONENTS) and _EXPONENT.search(text) is not None


def _written_out(value: Any) -> int:
    # jsonb keeps numbers with all their digits: 1e308 comes back as 309 of them.
    return sum(
        abs(math.frexp(one)[1]) // 3
        for level in _levels([value], (float, *_NESTED))
        for one in level
        if isinstance(one, float)
    )


def _is_deep(value: Any) -> bool:
    return any(depth >= MAX_DEPTH for depth, _ in enumerate(_levels([value], _NESTED)))


def _levels(level: list[Any], kept: tuple[type, ...]) -> Iterator[list[Any]]:
    # Level by level, as far as there is something of the types that are kept.
    while level:
        yield level
        level = [
            inner
            for outer in level
            if isinstance(outer, _NESTED)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, kept)
        ]


def clean(text: str, *, max_bytes: int) -> str:
    """Return ``text`` without what cannot be stored, cut to ``max_bytes`` bytes of UTF-8."""
    encoded = text.replace("\0", "").encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode("utf-8", "ignore") + "…"
