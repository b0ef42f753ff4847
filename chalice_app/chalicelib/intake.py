"""Takes new tasks in: holds them to their kinds, and gives them what their kinds ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json

from chalicelib.errors import InvalidRequest, OutboundRefused
from chalicelib.outbound import check_url
from chalicelib.schemas import NewTask
from chalicelib.schemas.bodies import read_body
from chalicelib.schemas.rules import Broken, pointer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.outbound import Exempt
    from chalicelib.registry import Registry
    from chalicelib.schemas import ScheduledTask

    Path = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What new tasks may ask for, as the service is set up.

    ``callbacks``: hosts of our own that may be called back; None: there are no webhooks. ``high``:
    whether tasks of high priority have a queue.
    """

    callbacks: Exempt | None = None
    high: bool = False


def check_new(registry: Registry, tasks: Sequence[NewTask], *, one: bool) -> None:
    """Raise an InvalidRequest that names all that is wrong.

    That is an unknown kind, or a payload that does not fit its kind's model. ``one``: it was sent
    alone, not in a batch.
    """
    broken = Broken()
    for number, new in enumerate(tasks):
        path: Path = () if one else ("tasks", number)
        _check_kind(registry, new.kind, new.payload, path, broken)
    if broken:
        raise broken.refusal()


def check_offered(tasks: Sequence[NewTask], offer: Offer, *, one: bool) -> None:
    """Raise an InvalidRequest that names all that this service is not set up for.

    That is a callback_url which is never to be asked, and a high priority without its queue.
    """
    broken = Broken()
    for number, new in enumerate(tasks):
        _check_offered(new, offer, () if one else ("tasks", number), broken)
    if broken:
        raise broken.refusal()


def check_scheduled(registry: Registry, task: ScheduledTask, offer: Offer) -> None:
    """Raise an InvalidRequest that names all that POST /tasks would refuse of a schedule's task."""
    broken = Broken()
    _check_kind(registry, task.kind, task.payload, ("task",), broken)
    _check_offered(task, offer, ("task",), broken)
    if broken:
        raise broken.refusal()


def taken(registry: Registry, values: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
    """Return what is stored of a task with these ``values`` of POST /tasks, given as objects.

    Raises what a request with them would be refused with: InvalidRequest.
    """
    new = read_body(NewTask, _json(values))
    check_new(registry, [new], one=True)
    check_offered([new], offer, one=True)
    return stored(registry, new)


def stored(registry: Registry, new: NewTask) -> dict[str, Any]:
    """Return what is stored of a new task, as JSON values."""
    attempts = registry.policy_of(new.kind).attempts
    return new.columns() | ({} if attempts is None else {"attempt_limit": attempts})


def _json(values: Mapping[str, Any]) -> bytes:
    try:
        return to_json(values, inf_nan_mode="constants")
    except ValueError as error:
        raise InvalidRequest(f"The task is not JSON ({error}).") from None


def check_payload(registry: Registry, kind: str, payload: Any) -> None:
    """Raise InvalidRequest for a payload that does not fit the model of its kind."""
    broken = Broken()
    _check_kind(registry, kind, payload, (), broken)
    if broken:
        raise broken.refusal()


def _check_offered(task: NewTask | ScheduledTask, offer: Offer, path: Path, broken: Broken) -> None:
    if task.callback_url is not None:
        place = pointer((*path, "callback_url"))
        _check_callback(task.callback_url, offer.callbacks, place, broken)
    if task.priority == "high" and not offer.high:
        place = pointer((*path, "priority"))
        broken.add(place, "cannot be high: PRIORITY_QUEUE is not on in this service")


def _check_callback(url: str, exempt: Exempt | None, place: dict[str, str], broken: Broken) -> None:
    if exempt is None:
        broken.add(place, "cannot be taken: no WEBHOOK_SECRETS are set in this service")
        return
    try:
        check_url(url, exempt)
    except OutboundRefused as error:
        broken.add(place, str(error))


def _check_kind(registry: Registry, kind: str, payload: Any, path: Path, broken: Broken) -> None:
    if kind not in registry.kinds:
        known = ", ".join(sorted(registry.kinds))
        broken.add(pointer((*path, "kind")), f"is unknown; there are: {known}")
        return
    try:
        registry.read(kind, payload)
    except ValidationError as error:
        broken.add_all(error, lambda place: pointer((*path, "payload", *place)))
