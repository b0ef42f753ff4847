"""What a trace is handed on by: X-Ray's header, and the one of W3C."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The system attribute of an SQS message that holds X-Ray's header.
#: Source: AWS X-Ray Developer Guide, "Amazon SQS and AWS X-Ray".
AWS_TRACE_HEADER = "AWSTraceHeader"

#: The header of W3C Trace Context, and the attribute of an SQS message that holds it.
TRACEPARENT = "traceparent"

#: An id of zeros stands for none.
_ROOT = re.compile(r"1-[0-9a-f]{8}-(?!0{24})[0-9a-f]{24}")
_PARENT = re.compile(r"[0-9a-f]{16}")
#: Source: W3C Trace Context, "traceparent Header Field Values".
_W3C = re.compile(r"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose span a header names, and whether that trace is recorded."""

    trace_id: str
    parent: str | None
    sampled: bool


def read_xray(header: str | None) -> Sender | None:
    """Read ``Root=1-...;Parent=...;Sampled=1``.

    None where the trace is not named, or nobody has decided yet whether to record it.
    Source: AWS X-Ray Developer Guide, "Tracing header".
    """
    parts = _parts(header or "")
    root, parent = parts.get("Root", ""), parts.get("Parent", "")
    if not _ROOT.fullmatch(root) or parts.get("Sampled") not in {"0", "1"}:
        return None
    named = parent if _PARENT.fullmatch(parent) else None
    return Sender(root, named, parts["Sampled"] == "1")


def id_of(headers: Mapping[str, str]) -> str | None:
    """Return the id of the trace that a message's headers name, as its back end shows it.

    X-Ray's header comes from AWS by itself, even where spans go elsewhere; so W3C's wins.
    """
    if not headers:
        return None
    if found := _W3C.fullmatch(headers.get(TRACEPARENT, "")):
        return found[1]
    root = _parts(headers.get(AWS_TRACE_HEADER, "")).get("Root", "")
    return root if _ROOT.fullmatch(root) else None


def id_in(text: str | None) -> str | None:
    """Return the id that a row's ``trace_id`` tells: the text, or its root if it is a header.

    Rows that were written before ids were have whole headers.
    """
    return _parts(text or "").get("Root", text)


def _parts(header: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs}
