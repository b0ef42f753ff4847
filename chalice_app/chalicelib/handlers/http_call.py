"""Tasks of the kind ``http.call``: one HTTP request to another host."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chalicelib import strict_json, tracing
from chalicelib.errors import NotStorable
from chalicelib.registry import Backoff, Context, handler
from chalicelib.schemas import Url  # noqa: TC001  (pydantic reads it)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.outbound.call import Answer
    from chalicelib.task import Task

#: Source: RFC 9110 sections 5.1 (names) and 5.5 (values).
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]{0,4000}")
#: Those that are about the connection, and those that are ours to tell.
_RESERVED = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "idempotency-key"}
    | {"keep-alive", "te", "trailer", "traceparent", "transfer-encoding", "upgrade"}
    | {"x-amzn-trace-id"}
)
#: What is kept of an answer's headers.
_KEPT = ("content-type", "etag", "last-modified", "location", "retry-after", "x-request-id")

#: What a body may take of a result, in bytes of JSON: one of 65,536 bytes that are no UTF-8 fits,
#: one of control characters, which take six each, is cut.
_ROOM = 200_000

HttpStatus = Annotated[int, Field(ge=200, le=599)]


class Call(BaseModel):
    """What to ask, and which answers will do; a ``body`` that is a text is sent as it is."""

    model_config = ConfigDict(defer_build=True, extra="forbid", strict=True)

    url: Url
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict, max_length=30)
    body: Any = None
    #: None: any from 200 to 299.
    expected: list[HttpStatus] | None = Field(None, min_length=1, max_length=20)
    #: Seconds for the whole of it.
    timeout: float = Field(10, ge=0.1, le=300)

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError("have to be of visible ASCII characters, each in one line")
            if name.lower() in _RESERVED or name.lower().startswith("proxy-"):
                raise ValueError("must not name what is told by this service or the connection")
        if len({name.lower() for name in headers}) < len(headers):
            raise ValueError("must not name a header twice")
        return headers

    def will_do(self, status: int) -> bool:
        """Tell whether an answer with this status is a success."""
        if self.expected is None:
            return 200 <= status <= 299  # noqa: PLR2004
        return status in self.expected


@handler(
    "http.call",
    payload=Call,
    attempts=8,
    backoff=Backoff(base=10, longest=60 * 60),
    concurrent=True,
)
def call(_task: Task, context: Context[Call]) -> dict[str, Any]:
    """Ask, and return ``{"status", "headers", "body", "cut"}`` of the answer.

    Raises RetryLater where asking again may help, and GiveUp where it cannot.
    """
    # What a request needs takes longer to load than the rest; only who sends one pays for it.
    from chalicelib.outbound.verdict import ask, raise_for  # noqa: PLC0415

    asked = context.payload
    kind, body = _encoded(asked.body)
    if any(name.lower() == "content-type" for name in asked.headers):
        kind = {}
    answer = ask(
        asked.url,
        named="url",
        allowed=context.settings.outbound_allow,
        seconds=asked.timeout,
        remaining=context.remaining(),
        method=asked.method,
        headers=kind | asked.headers | told(context),
        body=body,
    )
    if not asked.will_do(answer.status):
        raise_for(answer)
    return _result(answer)


def told(context: Context[Any]) -> dict[str, str]:
    """Return the headers that tell of the task: its idempotency key, and its trace."""
    trace: Mapping[str, str] = tracing.outgoing() or context.trace
    names = {tracing.AWS_TRACE_HEADER: "X-Amzn-Trace-Id", tracing.TRACEPARENT: "traceparent"}
    traced = {names[name]: value for name, value in trace.items() if name in names}
    return {"Idempotency-Key": context.idempotency_key} | traced


def _encoded(body: Any) -> tuple[dict[str, str], bytes | None]:
    match body:
        case None:
            return {}, None
        case str():
            return {"Content-Type": "text/plain; charset=utf-8"}, body.encode()
        case _:
            return {"Content-Type": "application/json"}, strict_json.encode(body).encode()


def _result(answer: Answer) -> dict[str, Any]:
    kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    headers = {name: strict_json.clean(value, max_bytes=1000) for name, value in kept.items()}
    body, cut = _decoded(answer)
    return {"status": answer.status, "headers": headers, "body": body, "cut": cut}


def _decoded(answer: Answer) -> tuple[Any, bool]:
    media, _, _ = answer.headers.get("content-type", "").partition(";")
    if re.fullmatch(r"application/(.*\+)?json", media.strip().lower()) and not answer.cut:
        try:
            value = json.loads(answer.body)
            strict_json.encode(value)
        except (ValueError, RecursionError, NotStorable):
            pass  # what is said to be JSON, and is not, is kept as a text
        else:
            return value, False
    text = strict_json.clean(answer.body.decode("utf-8", "replace"), max_bytes=_ROOM)
    if len(json.dumps(text, ensure_ascii=False).encode()) <= _ROOM:
        return text, answer.cut
    return text[: _ROOM // 6], True
