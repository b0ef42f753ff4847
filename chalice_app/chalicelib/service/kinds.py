"""Tells which kinds of tasks there are, and holds payloads to what their kind declares."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.errors import InvalidRequest
from chalicelib.schemas import Kinds, KindView
from chalicelib.schemas.rules import broken, pointer

if TYPE_CHECKING:
    from chalicelib.registry import Registry


def kinds_of(registry: Registry) -> Kinds:
    """Return what there is to know of each kind; a handler's docstring describes it."""
    return Kinds(items=[_view(registry, kind) for kind in sorted(registry.kinds)])


def check_kind(registry: Registry, kind: str, payload: Any, *path: int | str) -> None:
    """Raise InvalidRequest for an unknown kind, or a payload that does not fit its model.

    ``path`` is where in the body the task is.
    """
    if kind not in registry.kinds:
        known = ", ".join(sorted(registry.kinds))
        rule = pointer((*path, "kind")) | {"detail": f"is unknown; there are: {known}"}
        raise InvalidRequest.naming([rule])
    try:
        registry.read(kind, payload)
    except ValidationError as error:
        rules = broken(error, lambda place: pointer((*path, "payload", *place)))
        raise InvalidRequest.naming(rules) from None


def _view(registry: Registry, kind: str) -> KindView:
    function, model = registry.handler_of(kind), registry.payload_of(kind)
    about = (inspect.getdoc(function) or "").partition("\n\n")[0] or None
    schema = model.model_json_schema() if model else None
    return KindView(kind=kind, description=about, payload=schema)
