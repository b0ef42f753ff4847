"""Reads a request: its body or query, its path, its headers."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar, cast

from pydantic import BaseModel, ValidationError

from chalicelib.errors import (
    BodyTooLarge,
    InvalidRequest,
    MalformedBody,
    MalformedHeader,
    TaskNotFound,
    UnsupportedMediaType,
)
from chalicelib.queue import MAX_ID
from chalicelib.schemas import NewBatch, TaskChanges
from chalicelib.schemas.rules import broken, pointer
from chalicelib.strict_json import MAX_BYTES
from chalicelib.web import etags

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalice.app import Request

#: The longest wait that Prefer may ask for, in seconds: API Gateway gives up after 29.
LONGEST_WAIT = 20
MAX_BATCH_BYTES = 5 * 1024 * 1024
#: Source: RFC 7396, section 4.
MERGE_PATCH = "application/merge-patch+json"

# RFC 8941, section 3.3.3, with one escape that UUIDs do not need left out; or the bare token that
# many clients send.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,255})"|([A-Za-z0-9._:+/=-]{1,255})')
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,99})"?\s*(?=$|[,;])', re.IGNORECASE)

Sent = TypeVar("Sent", bound=BaseModel | None)


class Call(Generic[Sent]):
    """One request; what is wrong with a part of it is raised when that part is read."""

    def __init__(
        self, request: Request, arguments: dict[str, str], takes: type[Sent] | None
    ) -> None:
        """Take Chalice's request, the variables of its path, and the model of what is sent."""
        self.request = request
        self._arguments = arguments
        self._takes = takes

    @cached_property
    def sent(self) -> Sent:
        """The query of a GET, the body of anything else; raises an InvalidRequest."""
        model = cast("type[BaseModel]", self._takes)
        read = self._query if self.request.method == "GET" else self._body
        return cast("Sent", read(model))

    @property
    def authorization(self) -> str | None:
        """The header Authorization."""
        return self._header("authorization")

    @cached_property
    def task_id(self) -> int:
        """The id in the path; raises InvalidRequest, or TaskNotFound for one too large to exist."""
        text = self._arguments["task_id"]
        if not (text.isascii() and text.isdecimal()):
            raise InvalidRequest.naming(
                [{"parameter": "id", "detail": "must be a positive integer"}]
            )
        if len(text) > len(str(MAX_ID)) or int(text) > MAX_ID:
            raise TaskNotFound("There is no task with so large an id.")
        return int(text)

    @cached_property
    def idempotency_key(self) -> str | None:
        """The header Idempotency-Key; raises MalformedHeader.

        Source: draft-ietf-httpapi-idempotency-key-header-07.
        """
        text = self._header("idempotency-key")
        if text is None:
            return None
        found = _KEY.fullmatch(text.strip())
        if found is None:
            raise MalformedHeader(
                "Idempotency-Key has to be a string of 1 to 255 characters in quotes, "
                'like "8e03978e-40d5".'
            )
        return found[1] or found[2]

    @cached_property
    def wait(self) -> float:
        """The seconds that Prefer: wait=N asks for, within bounds; 0 if it does not (RFC 7240)."""
        found = _WAIT.search(self._header("prefer") or "")
        return float(min(LONGEST_WAIT, int(found[1]))) if found else 0.0

    @property
    def versions(self) -> list[datetime] | None:
        """The versions that If-Match names; None if any will do."""
        return etags.versions(self._header("if-match"), weak=False)

    @property
    def known(self) -> list[datetime]:
        """The versions that If-None-Match names."""
        return etags.versions(self._header("if-none-match")) or []

    def knows(self, tag: str) -> bool:
        """Tell whether If-None-Match names this entity tag, or any."""
        return etags.names(self._header("if-none-match"), tag)

    def _header(self, name: str) -> str | None:
        return cast("str | None", self.request.headers.get(name))

    def _body(self, model: type[BaseModel]) -> BaseModel:
        self._check_media_type(MERGE_PATCH if model is TaskChanges else "application/json")
        limit = MAX_BATCH_BYTES if model is NewBatch else MAX_BYTES
        raw = self.request.raw_body
        if len(raw) > limit:
            raise BodyTooLarge(f"The body has {len(raw):,} bytes; at most {limit:,} are taken.")
        try:
            return model.model_validate_json(raw)
        except ValidationError as error:
            _refuse(error, pointer)

    def _check_media_type(self, other: str) -> None:
        header = self._header("content-type") or ""
        media_type = header.partition(";")[0].strip().lower()
        if media_type not in {"application/json", other}:
            raise UnsupportedMediaType(
                "Send the body as Content-Type: application/json, "
                f"not {media_type or 'without one'}."
            )

    def _query(self, model: type[BaseModel]) -> BaseModel:
        values = self.request.query_params
        for name in values or ():
            if values and len(values.getlist(name)) > 1:
                raise InvalidRequest.naming(
                    [{"parameter": name, "detail": "is given more than once"}]
                )
        try:
            return model.model_validate(dict(values.items()) if values else {})
        except ValidationError as error:
            _refuse(error, lambda path: {"parameter": str(path[0])})


def _refuse(
    error: ValidationError, place: Callable[[tuple[int | str, ...]], dict[str, str]]
) -> NoReturn:
    [first, *_] = error.errors(include_url=False, include_input=False)
    if first["type"] == "json_invalid":
        raise MalformedBody(f"The body is not valid JSON: {first['ctx']['error']}.") from None
    raise InvalidRequest.naming(broken(error, place)) from None
