"""JSON that PostgreSQL's jsonb and every JSON parser accept, and nothing else (RFC 8259)."""

from __future__ import annotations

import json
import re
from typing import Any

from chalicelib.errors import NotStorable

#: The largest value kept on a task, in bytes of UTF-8.
MAX_BYTES = 256 * 1024

# An escaped NUL that is not itself an escaped backslash followed by "u0000".
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def encode(value: Any, *, max_bytes: int = MAX_BYTES) -> str:
    """Return ``value`` as compact JSON text.

    Raises NotStorable, saying why, for what jsonb cannot keep: types that are not JSON, NaN
    and infinities, NUL characters, lone surrogates, nesting without end, more than
    ``max_bytes`` bytes of UTF-8.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotStorable("must not contain lone surrogates") from None
    except RecursionError:
        raise NotStorable("is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotStorable(f"is not JSON ({error})") from None
    if _NUL.search(text):
        raise NotStorable("must not contain NUL characters")
    if size > max_bytes:
        raise NotStorable(f"takes {size:,} bytes as JSON; at most {max_bytes:,} are kept")
    return text


def clean(text: str, *, max_bytes: int) -> str:
    """Return ``text`` without what cannot be stored, cut to ``max_bytes`` bytes of UTF-8."""
    encoded = text.replace("\0", "").encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode("utf-8", "ignore") + "…"
