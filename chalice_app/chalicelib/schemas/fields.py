"""The kinds of values that the contract is made of, and what its models have in common."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from chalicelib import strict_json
from chalicelib.errors import NotStorable, OutboundRefused
from chalicelib.outbound import MAX_URL, read_url

#: The longest delay that may be asked for, in seconds.
YEAR = 366 * 24 * 60 * 60
#: The longest window of statistics, in minutes.
DAY = 24 * 60

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\D")

# For who reads the description of the API; what is said here is enforced by other means.
_THIS_CENTURY = "^20[0-9]{2}-"
_NO_NUL = r"^[^\x00]*$"
_NOT_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f][^\x00]*$"


class Shape(BaseModel):
    """What is asked or answered; built when it is first used, since a worker never uses it."""

    model_config = ConfigDict(defer_build=True)


def storable(value: Any) -> Any:
    """Return ``value``; raises ValueError, saying why, if it cannot be kept as JSON."""
    try:
        strict_json.encode(value)
    except NotStorable as error:
        raise ValueError(str(error)) from None
    return value


def _digits(text: Any) -> Any:
    if isinstance(text, str) and not (text.isascii() and text.isdecimal()):
        raise ValueError("must be a whole number")
    return text


def whole(number: Any) -> Any:
    """Return a number as an int if it is one: in JSON, 5.0 is a way to write 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _readable(url: str) -> str:
    try:
        read_url(url)
    except OutboundRefused as error:
        raise ValueError(str(error)) from None
    return url


def _different(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise ValueError("must not name a tag twice")
    return tags


def _told(value: Any) -> Any:
    # A number would be taken for the seconds, or the milliseconds, since 1970.
    if not isinstance(value, datetime) and _DATE.match(str(value)) is None:
        raise ValueError("must be a time as in ISO 8601, with its offset")
    return value


def _utc(moment: datetime) -> datetime:
    # ISO 8601 knows offsets that PostgreSQL does not.
    return moment.astimezone(UTC)


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


#: A time as it is shown: ISO 8601 in UTC with microseconds and Z.
Time = Annotated[
    datetime,
    PlainSerializer(_zulu, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
#: A time that a client gives: ISO 8601 with an offset, within the years that every part can tell.
Moment = Annotated[
    AwareDatetime,
    Field(
        strict=False,
        ge=datetime(2000, 1, 1, tzinfo=UTC),
        lt=datetime(2100, 1, 1, tzinfo=UTC),
        json_schema_extra={"pattern": _THIS_CENTURY},
    ),
    BeforeValidator(_told),
    AfterValidator(_utc),
]
Delay = Annotated[float, Field(ge=0, le=YEAR)]
Title = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": _NOT_BLANK}),
    AfterValidator(storable),
    AfterValidator(_not_blank),
]
Description = Annotated[
    str, Field(json_schema_extra={"pattern": _NO_NUL}), AfterValidator(storable)
]
Payload = Annotated[dict[str, Any], AfterValidator(storable)]
Kind = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra={"pattern": _NO_NUL}),
    AfterValidator(storable),
]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,64}$")]
#: Like a tag, and an address or the like may be one.
LimitKey = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
#: Of what a tenant has one of; with `schedule:` before it, a tag.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,50}$")]
Tags = Annotated[
    list[Tag],
    Field(max_length=10, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_different),
]
Words = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": _NO_NUL}),
    AfterValidator(storable),
]
Cursor = Annotated[str, Field(max_length=100)]
Many = Annotated[int, Field(strict=True, ge=1, le=1000), BeforeValidator(whole)]
PageSize = Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)]
Minutes = Annotated[int, Field(ge=1, le=DAY), BeforeValidator(_digits)]
#: A URL that can be read in one way only; whether it may be asked is another question.
Url = Annotated[
    str,
    Field(min_length=1, max_length=MAX_URL, json_schema_extra={"format": "uri"}),
    AfterValidator(_readable),
]
