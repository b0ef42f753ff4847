"""Tells which kinds of tasks there are."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from chalicelib.schemas import Kinds, KindView

if TYPE_CHECKING:
    from chalicelib.registry import Registry


def kinds_of(registry: Registry) -> Kinds:
    """Return what there is to know of each kind; a handler's docstring describes it."""
    return Kinds(items=[_view(registry, kind) for kind in sorted(registry.kinds)])


def _view(registry: Registry, kind: str) -> KindView:
    function, model = registry.handler_of(kind), registry.payload_of(kind)
    about = (inspect.getdoc(function) or "").partition("\n\n")[0] or None
    schema = model.model_json_schema() if model else None
    return KindView(kind=kind, description=about, payload=schema)
