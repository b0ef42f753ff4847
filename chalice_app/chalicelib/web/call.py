"""Reads a request: its body or query, its path, its headers."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from chalicelib.errors import (
    BodyTooLarge,
    InvalidRequest,
    ScheduleNotFound,
    ServiceError,
    TaskNotFound,
)
from chalicelib.queue import MAX_ID
from chalicelib.schemas import NewBatch, TaskChanges
from chalicelib.schemas.bodies import read_body
from chalicelib.schemas.rules import Broken, cut, parameter
from chalicelib.strict_json import MAX_BYTES
from chalicelib.web import etags, headers

if TYPE_CHECKING:
    from datetime import datetime

    from chalice.app import Request

MAX_BATCH_BYTES = 5 * 1024 * 1024

# One way to write each number; int() takes more.
_ID = re.compile(r"[1-9][0-9]*")

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
        return self._id("task_id", TaskNotFound("There is no task with so large an id."))

    @cached_property
    def schedule_id(self) -> int:
        """The id in the path; raises as ``task_id`` does, ScheduleNotFound."""
        absent = ScheduleNotFound("There is no schedule with so large an id.")
        return self._id("schedule_id", absent)

    @property
    def kind(self) -> str:
        """The kind in the path, where it is percent-encoded, as Chalice leaves it."""
        return unquote(self._arguments["kind"]).replace("\0", "\ufffd")  # no kind has a NUL

    @cached_property
    def idempotency_key(self) -> str | None:
        """The header Idempotency-Key; raises MalformedHeader."""
        return headers.idempotency_key(self._header("idempotency-key"))

    @cached_property
    def wait(self) -> float:
        """The seconds that Prefer: wait=N asks for; 0 if it does not."""
        return headers.wait(self._header("prefer"))

    @property
    def versions(self) -> list[datetime] | None:
        """The versions that If-Match names; None if any will do."""
        return etags.versions(self._header("if-match"), weak=False)

    @property
    def known(self) -> list[datetime] | None:
        """The versions that If-None-Match names; None if it is not there, or means any."""
        return etags.versions(self._header("if-none-match"))

    def knows(self, tag: str) -> bool:
        """Tell whether If-None-Match names this entity tag, or any."""
        return etags.names(self._header("if-none-match"), tag)

    def _id(self, name: str, absent: ServiceError) -> int:
        text = self._arguments[name]
        if not _ID.fullmatch(text):
            raise InvalidRequest.naming(
                [{"parameter": "id", "detail": "must be a positive integer"}]
            )
        if len(text) > len(str(MAX_ID)) or int(text) > MAX_ID:
            raise absent
        return int(text)

    def _header(self, name: str) -> str | None:
        # One that is sent twice is one list (RFC 9110, 5.3), of which Chalice shows the last part.
        parts = self._parts.get(name)
        return ", ".join(parts) if parts else self.request.headers.get(name)

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        # As API Gateway hands them over; the local server does not.
        event = self.request.to_original_event()
        return {
            name.lower(): parts for name, parts in (event.get("multiValueHeaders") or {}).items()
        }

    def _body(self, model: type[BaseModel]) -> BaseModel:
        headers.check_media_type(self._header("content-type"), media_types(model))
        limit = MAX_BATCH_BYTES if model is NewBatch else MAX_BYTES
        raw = self.request.raw_body
        if len(raw) > limit:
            raise BodyTooLarge(f"The body has {len(raw):,} bytes; at most {limit:,} are taken.")
        return read_body(model, raw)

    def _query(self, model: type[BaseModel]) -> BaseModel:
        values = self.request.query_params
        for name in values or ():
            if values and len(values.getlist(name)) > 1:
                raise InvalidRequest.naming(
                    [{"parameter": cut(name), "detail": "is given more than once"}]
                )
        try:
            return model.model_validate(dict(values.items()) if values else {})
        except ValidationError as error:
            broken = Broken()
            broken.add_all(error, parameter)
            raise broken.refusal() from None


def media_types(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the media types in which a body of ``model`` may be sent."""
    return ("application/json", *([headers.MERGE_PATCH] if model is TaskChanges else []))
