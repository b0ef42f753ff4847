"""Reads what is said in headers; each takes a header's text, or None where there is none."""

from __future__ import annotations

import re

from chalicelib.errors import MalformedHeader, UnsupportedMediaType

#: The longest wait that Prefer may ask for, in seconds: API Gateway gives up after 29.
LONGEST_WAIT = 20

#: Source: RFC 7396, section 4.
MERGE_PATCH = "application/merge-patch+json"

# A string of RFC 8941, section 3.3.3, with the parameters that may follow (3.1.2); or the bare
# token that many clients send.
_TEXT = r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"'
_PARAMETER = r';[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[ !#-\[\]-~]|\\["\\])*"|[^\s",;]+))?'
_KEY = re.compile(rf"{_TEXT}(?:{_PARAMETER})*|([A-Za-z0-9._:+/=-]{{1,255}})")
#: The form of Idempotency-Key for who reads the description of the API.
KEY_PATTERN = r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[A-Za-z0-9._:+/=-]{1,255})$'

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|$)')
_NUMBER = re.compile(r"[0-9]+")
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*([0-9]{1,99})\s*(?=$|[,;])", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)


def idempotency_key(header: str | None) -> str | None:
    """Read Idempotency-Key; raises MalformedHeader.

    Source: draft-ietf-httpapi-idempotency-key-header-07.
    """
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise MalformedHeader(
            "Idempotency-Key has to be one string of 1 to 255 characters in quotes, "
            'like "8e03978e-40d5".'
        )
    return found[2] or re.sub(r"\\(.)", r"\1", found[1])


def wait(header: str | None) -> float:
    """Read the seconds of ``Prefer: wait=N``, within bounds; 0 if there are none (RFC 7240)."""
    # What another preference has in quotes is its own business.
    plain = _QUOTED.sub(
        lambda quoted: quoted[1] if _NUMBER.fullmatch(quoted[1]) else "", header or ""
    )
    found = _WAIT.search(plain)
    return float(min(LONGEST_WAIT, int(found[1]))) if found else 0.0


def check_media_type(header: str | None, taken: tuple[str, ...]) -> None:
    """Raise UnsupportedMediaType if Content-Type is none of those, or not in UTF-8 (RFC 8259)."""
    media_type = (header or "").partition(";")[0].strip().lower()
    if media_type not in taken:
        raise UnsupportedMediaType(
            f"Send the body as Content-Type: application/json, not {media_type or 'without one'}.",
            taken=taken,
        )
    charset = _CHARSET.search(header or "")
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(f"Send the body in UTF-8, not {charset[1]}.", taken=taken)
