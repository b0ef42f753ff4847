"""Holds requests to what only the service knows: the kinds that there are, and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.schemas.rules import Broken, pointer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.registry import Registry
    from chalicelib.schemas import NewTask

    Path = tuple[int | str, ...]

#: How far this clock may be from the database's, which decides what has expired.
SKEW = timedelta(minutes=1)


def check_new(registry: Registry, tasks: Sequence[NewTask], *, one: bool, timely: bool) -> None:
    """Raise an InvalidRequest that names all that is wrong.

    That is an unknown kind, a payload that does not fit its kind's model, and, where ``timely``
    is asked for, an expiry before the task can begin. ``one``: it was sent alone, not in a batch.
    """
    broken, now = Broken(), datetime.now(UTC)
    for number, new in enumerate(tasks):
        path: Path = () if one else ("tasks", number)
        _check_kind(registry, new.kind, new.payload, path, broken)
        if timely and _is_over(new, now):
            rule = "is over before the task can begin"
            broken.add(pointer((*path, "expires_at")), rule)
    if broken:
        raise broken.refusal()


def check_payload(registry: Registry, kind: str, payload: Any) -> None:
    """Raise InvalidRequest for a payload that does not fit the model of its kind."""
    broken = Broken()
    _check_kind(registry, kind, payload, (), broken)
    if broken:
        raise broken.refusal()


def _check_kind(registry: Registry, kind: str, payload: Any, path: Path, broken: Broken) -> None:
    if kind not in registry.kinds:
        known = ", ".join(sorted(registry.kinds))
        broken.add(pointer((*path, "kind")), f"is unknown; there are: {known}")
        return
    try:
        registry.read(kind, payload)
    except ValidationError as error:
        broken.add_all(error, lambda place: pointer((*path, "payload", *place)))


def _is_over(new: NewTask, now: datetime) -> bool:
    begins = now + timedelta(seconds=new.delay_seconds or 0)
    return new.expires_at is not None and new.expires_at + SKEW < begins
