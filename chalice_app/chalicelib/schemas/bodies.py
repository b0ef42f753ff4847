"""Reads bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from chalicelib.errors import MalformedBody
from chalicelib.schemas.requests import NewBatch, NewTask
from chalicelib.schemas.rules import MOST_NAMED, Broken, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

Model = TypeVar("Model", bound=BaseModel)

_KNOWN = NewBatch.model_fields.keys() | NewTask.model_fields.keys()


def read_body(model: type[Model], raw: str | bytes) -> Model:
    """Return a body as its model; raises MalformedBody, and InvalidRequest naming what is wrong."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found, count = error, error.error_count()
    if count == 1:
        [only] = found.errors(include_url=False, include_input=False)
        if only["type"] == "json_invalid":
            raise MalformedBody(f"The body is not valid JSON: {only['ctx']['error']}.")
    elif count > MOST_NAMED and model is NewBatch:
        found = _fewer(raw) or found
    broken = Broken()
    broken.add_all(found, pointer, count)
    raise broken.refusal()


def _fewer(raw: str | bytes) -> ValidationError | None:
    # pydantic tells of all that it found or of nothing, and a batch has room for half a million
    # unknown fields; so it is shown a batch that has no more of them than will be named.
    thin = _thinned(from_json(raw), iter(range(MOST_NAMED)))
    try:
        NewBatch.model_validate_json(to_json(thin, inf_nan_mode="constants"))
    except ValidationError as error:
        return error
    return None


def _thinned(value: Any, left: Iterator[int]) -> Any:
    match value:
        case dict():
            return {
                name: _thinned(inner, left) if name == "tasks" else inner
                for name, inner in value.items()
                if name in _KNOWN or next(left, None) is not None
            }
        case list():
            return [_thinned(one, left) for one in value]
        case _:
            return value
