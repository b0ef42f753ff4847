"""Tasks of the kind ``webhook.deliver``: they tell a client that a task of its own has ended.

The database makes them, in the transaction that ends the task (sql/migrations, make_webhook).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from chalicelib import strict_json
from chalicelib.errors import GiveUp
from chalicelib.registry import Backoff, Context, handler
from chalicelib.schemas import Url  # noqa: TC001  (pydantic reads it)

if TYPE_CHECKING:
    from chalicelib.task import Task

#: Attempts, which make_webhook knows too: with these waits they take about a day.
ATTEMPTS = 15
#: Seconds for one delivery.
_PATIENCE = 15.0
#: The only answer that says "never again". Source: Standard Webhooks 1.0.0.
_GONE = frozenset({410})
#: How long a secret that was read is kept, in seconds.
_SECRET_AGE = 300.0
_read: dict[str, tuple[float, str]] = {}


class Webhook(BaseModel):
    """Where to, and what is told."""

    model_config = ConfigDict(defer_build=True, extra="forbid", strict=True)

    url: Url
    type: Literal["task.completed", "task.failed", "task.cancelled"]
    timestamp: str
    data: dict[str, Any]


@handler(
    "webhook.deliver",
    payload=Webhook,
    attempts=ATTEMPTS,
    backoff=Backoff(base=30, longest=4 * 60 * 60),
    concurrent=True,
)
def deliver(_task: Task, context: Context[Webhook]) -> dict[str, int]:
    """Post the webhook, signed, and return ``{"status"}`` of the answer.

    Raises GiveUp when the receiver is gone, and RetryLater for any other answer but 200 to 299.
    """
    # What a request needs takes longer to load than the rest; only who sends one pays for it.
    from chalicelib.outbound.verdict import ask, raise_for  # noqa: PLC0415

    told = context.payload
    body = strict_json.encode(told.model_dump(exclude={"url"}), max_bytes=1 << 20).encode()
    answer = ask(
        told.url,
        named="callback_url",
        allowed=context.settings.outbound_allow,
        seconds=_PATIENCE,
        remaining=context.remaining(),
        headers=_headers(context, body),
        body=body,
    )
    if not 200 <= answer.status <= 299:  # noqa: PLR2004
        raise_for(answer, gone=_GONE)
    return {"status": answer.status}


def _headers(context: Context[Webhook], body: bytes) -> dict[str, str]:
    from chalicelib.outbound.signing import secrets_of, sign  # noqa: PLC0415  (as above)

    now = int(time.time())
    secrets = secrets_of(context.tenant, _roots(context))
    return {
        "Content-Type": "application/json",
        "User-Agent": "chalice-tasks",
        "webhook-id": context.idempotency_key,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secrets, context.idempotency_key, now, body),
    }


def _roots(context: Context[Webhook]) -> str:
    settings = context.settings
    if arn := settings.webhook_secrets_arn:
        read_at, text = _read.get(arn, (0.0, ""))
        if not text or time.monotonic() - read_at > _SECRET_AGE:
            client = context.client("secretsmanager")
            text = str(client.get_secret_value(SecretId=arn)["SecretString"])
            _read[arn] = time.monotonic(), text
        return text
    if not settings.webhook_secrets:
        raise GiveUp("There is nothing to sign webhooks by: WEBHOOK_SECRETS is not set.")
    return settings.webhook_secrets
