"""The operators' desk: what the function ``admin`` is asked, and who answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_never

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from chalicelib.errors import InvalidRequest
from chalicelib.service.keys import Asked, CreateKey, ListKeys, RevokeKey
from chalicelib.service.webhooks import WebhookSecrets

if TYPE_CHECKING:
    from chalicelib.service.diagnosis import Diagnosis
    from chalicelib.service.keys import KeyService
    from chalicelib.service.webhooks import WebhookDesk


class Diagnose(Asked):
    """How the service fares."""

    action: Literal["diagnose"]


_Request = CreateKey | ListKeys | RevokeKey | Diagnose | WebhookSecrets
_REQUEST: TypeAdapter[_Request] = TypeAdapter(
    Annotated[_Request, Field(discriminator="action")], config=ConfigDict(defer_build=True)
)


class AdminDesk:
    """Serves operators. Whoever can reach it is trusted with every tenant."""

    def __init__(self, keys: KeyService, diagnosis: Diagnosis, webhooks: WebhookDesk) -> None:
        """Take who answers."""
        self._keys = keys
        self._diagnosis = diagnosis
        self._webhooks = webhooks

    def handle(self, event: Any) -> dict[str, Any]:
        """Do what ``event`` asks, and answer in plain JSON.

        ``{"action": "create", "tenant", "name", "scopes", "lifetime_days"}`` makes a key and
        answers ``{"key", "text"}``: the text is what its holder sends, and is kept nowhere.
        ``{"action": "list", "tenant"}`` answers ``{"keys"}``, ``{"action": "revoke", "id"}``
        ends a key at once and answers ``{"key"}``. ``{"action": "diagnose"}`` answers what
        Diagnosis.read returns, ``{"action": "webhook_secrets", "tenant"}`` answers ``{"secrets"}``,
        by which the tenant's receivers check signatures. Raises InvalidRequest naming all that is
        wrong, KeyNotFound, and StoreUnavailable.
        """
        asked = _read(event)
        match asked:
            case CreateKey():
                return self._keys.create(asked)
            case ListKeys():
                return self._keys.list(asked)
            case RevokeKey():
                return self._keys.revoke(asked)
            case Diagnose():
                return self._diagnosis.read()
            case WebhookSecrets():
                return self._webhooks.secrets(asked)
            case _:
                assert_never(asked)


def _read(event: Any) -> _Request:
    try:
        return _REQUEST.validate_python(event)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # All in one sentence: of an error, Lambda hands on the text alone.
        raise InvalidRequest("; ".join(map(_broken, found)) + ".") from None


def _broken(error: Any) -> str:
    place = ".".join(map(str, error["loc"][1:]))
    match error["type"]:
        case "union_tag_invalid" | "union_tag_not_found":
            return "action has to be create, list, revoke, diagnose or webhook_secrets"
        case "missing":
            return f"{place} is required"
        case "extra_forbidden":
            return f"{place} is not known here"
        case "value_error":
            return f"{place} {error['ctx']['error']}"
        case _:
            rule = str(error["msg"]).replace("Input should", "has to")
            return f"{place or 'the event'} {rule}"
