"""What new tasks may ask for, and the secrets by which receivers of webhooks check signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from chalicelib.errors import InvalidRequest
from chalicelib.intake import Offer
from chalicelib.outbound import Exempt
from chalicelib.service.keys import Asked, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.settings import Settings


class WebhookSecrets(Asked):
    """The secrets of a tenant's webhooks."""

    action: Literal["webhook_secrets"]
    tenant: Tenant


class WebhookDesk:
    """Tells the secrets, which are derived from the service's own."""

    def __init__(self, settings: Settings, read: Callable[[str], str]) -> None:
        """Take what reads the text of a secret by its ARN; it may raise StoreUnavailable."""
        self._settings = settings
        self._read = read

    def secrets(self, asked: WebhookSecrets) -> dict[str, Any]:
        """Return ``{"secrets"}``: one, or two while the service's own is changed, the new first.

        Raises InvalidRequest where none is set, InvalidSettings and StoreUnavailable.
        """
        from chalicelib.outbound.signing import secrets_of  # noqa: PLC0415  (seldom needed)

        arn = self._settings.webhook_secrets_arn
        roots = self._read(arn) if arn else self._settings.webhook_secrets
        if not roots:
            raise InvalidRequest("No WEBHOOK_SECRETS are set in this service.")
        return {"secrets": secrets_of(asked.tenant, roots)}


def offer_of(settings: Settings) -> Offer:
    """Return what new tasks may ask for."""
    signed = settings.webhook_secrets or settings.webhook_secrets_arn
    hosts = Exempt.parse(settings.outbound_allow) if signed else None
    return Offer(callbacks=hosts, high=settings.priority_queue == "on")
