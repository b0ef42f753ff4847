"""Tells which kinds of tasks there are, and holds payloads to what their kind declares."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.schemas import Kinds, KindView
from chalicelib.schemas.rules import Broken, pointer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.registry import Registry
    from chalicelib.schemas import NewTask


def kinds_of(registry: Registry) -> Kinds:
    """Return what there is to know of each kind; a handler's docstring describes it."""
    return Kinds(items=[_view(registry, kind) for kind in sorted(registry.kinds)])


def check_kind(registry: Registry, kind: str, payload: Any) -> None:
    """Raise InvalidRequest for an unknown kind, or a payload that does not fit its model."""
    broken = Broken()
    _check(registry, kind, payload, (), broken)
    if broken:
        raise broken.refusal()


def check_kinds(registry: Registry, tasks: Sequence[NewTask]) -> None:
    """Do so for a batch; every task that is wrong is named in one InvalidRequest."""
    broken = Broken()
    for number, new in enumerate(tasks):
        _check(registry, new.kind, new.payload, ("tasks", number), broken)
    if broken:
        raise broken.refusal()


def _check(
    registry: Registry, kind: str, payload: Any, path: tuple[int | str, ...], broken: Broken
) -> None:
    if kind not in registry.kinds:
        known = ", ".join(sorted(registry.kinds))
        broken.add(pointer((*path, "kind")), f"is unknown; there are: {known}")
        return
    try:
        registry.read(kind, payload)
    except ValidationError as error:
        broken.add_all(error, lambda place: pointer((*path, "payload", *place)))


def _view(registry: Registry, kind: str) -> KindView:
    function, model = registry.handler_of(kind), registry.payload_of(kind)
    about = (inspect.getdoc(function) or "").partition("\n\n")[0] or None
    schema = model.model_json_schema() if model else None
    return KindView(kind=kind, description=about, payload=schema)
