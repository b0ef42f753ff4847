"""JSON that PostgreSQL's jsonb and every JSON parser accept, and nothing else (RFC 8259)."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from chalicelib.errors import NotStorable

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The largest value kept on a task, in bytes of UTF-8.
MAX_BYTES = 256 * 1024
#: The deepest value kept: pydantic reads 200 levels and writes 255, some of them an answer's own.
MAX_DEPTH = 200

# An escaped NUL that is not itself an escaped backslash followed by "u0000".
_EXPONENT = re.compile(r"\de[+-]?\d\d")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_written = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def encode(value: Any, *, max_bytes: int = MAX_BYTES) -> str:
    """Return ``value`` as compact JSON text.

    Raises NotStorable, saying why, for what jsonb cannot keep: types that are not JSON, NaN
    and infinities, NUL characters, lone surrogates, more than MAX_DEPTH levels of nesting,
    more than ``max_bytes`` bytes of UTF-8.
    """
    try:
        text = _written(value)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotStorable("must not contain lone surrogates") from None
    except RecursionError:
        raise NotStorable("is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotStorable(f"is not JSON ({error})") from None
    # The expressions are slow, and most values are short texts without either.
    if "\\u0000" in text and _NUL.search(text):
        raise NotStorable("must not contain NUL characters")
    if size > max_bytes:
        raise NotStorable(f"takes {size:,} bytes as JSON; at most {max_bytes:,} are kept")
    is_text = isinstance(value, str)
    if not is_text and _EXPONENT.search(text) and size + _written_out(value) > max_bytes:
        raise NotStorable(f"has numbers that take more than {max_bytes:,} bytes written out")
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
        raise NotStorable("is nested too deeply")
    return text


def _written_out(value: Any) -> int:
    # jsonb keeps numbers with all their digits: 1e308 comes back as 309 of them.
    level, total = [value], 0
    while level:
        total += sum(abs(math.frexp(one)[1]) // 3 for one in level if isinstance(one, float))
        level = [inner for outer in level for inner in _inside(outer)]
    return total


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def clean(text: str, *, max_bytes: int) -> str:
    """Return ``text`` without what cannot be stored, cut to ``max_bytes`` bytes of UTF-8."""
    encoded = text.replace("\0", "").encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode("utf-8", "ignore") + "…"
