"""WEBHOOK_SECRETS_ARN, read from Secrets Manager over the wire by all who need it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import InvalidSettings, StoreUnavailable
from chalicelib.handlers import webhook_deliver
from chalicelib.outbound.signing import secrets_of, sign
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from localdev import testing
from tests.receiver import Receiver, answering, receiver
from tests.s3 import moto

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-1"
OLD, NEW = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def manager() -> Iterator[Any]:
    """A boto3 client of a Secrets Manager, which is where the service finds it too."""
    import boto3

    with moto() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = boto3.client("secretsmanager", region_name=REGION)
        yield client
        client.close()


@pytest.fixture
def arn(manager: Any) -> str:
    made = manager.create_secret(Name=f"webhooks-{uuid.uuid4().hex}", SecretString=OLD)
    return str(made["ARN"])


@pytest.fixture(scope="module")
def served() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def told(arn: str) -> Any:
    """Return what the function ``admin`` tells of the tenant's secrets."""
    runtime = Runtime(Settings(webhook_secrets_arn=arn, aws_region=REGION))
    return runtime.admin.handle({"action": "webhook_secrets", "tenant": "acme"})["secrets"]


def deliver(arn: str, manager: Any, served: Receiver) -> testing.Ran:
    settings = Settings(webhook_secrets_arn=arn, aws_region=REGION, outbound_allow="127.0.0.1")
    payload = {"url": served.url(), "type": "task.completed", "timestamp": "", "data": {}}
    clients = {"secretsmanager": manager}
    return testing.run(
        "webhook.deliver", payload, settings=settings, clients=clients, tenant="acme"
    )


def is_signed_by(roots: str, served: Receiver) -> bool:
    """Tell whether what arrived last is signed by the tenant's secrets of these roots, by all."""
    asked = served.asked[-1]
    number, moment = asked.headers["webhook-id"], int(asked.headers["webhook-timestamp"])
    expected = sign(secrets_of("acme", roots), number, moment, asked.body)
    return asked.headers["webhook-signature"] == expected


def test_a_webhook_is_signed_by_what_the_operator_is_told(
    arn: str, manager: Any, served: Receiver
) -> None:
    served.script = answering(200)
    assert deliver(arn, manager, served).result == {"status": 200}
    assert is_signed_by(OLD, served)
    assert told(arn) == secrets_of("acme", OLD)


def test_a_new_secret_is_told_at_once_and_signs_beside_the_old_one_within_minutes(
    arn: str, manager: Any, served: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.script = answering(200)
    deliver(arn, manager, served)
    manager.put_secret_value(SecretId=arn, SecretString=f"{NEW},{OLD}")
    assert told(arn) == [*secrets_of("acme", NEW), *secrets_of("acme", OLD)]
    deliver(arn, manager, served)
    assert is_signed_by(OLD, served)  # what was read is kept for a while
    monkeypatch.setattr(webhook_deliver, "_SECRET_AGE", -1.0)
    deliver(arn, manager, served)
    assert is_signed_by(f"{NEW},{OLD}", served)


def test_a_secret_that_is_gone_sends_nothing_unsigned_and_is_told(
    arn: str, manager: Any, served: Receiver
) -> None:
    manager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    before = len(served.asked)
    assert deliver(arn, manager, served).status == "retrying"
    assert len(served.asked) == before
    with pytest.raises(StoreUnavailable, match="secret cannot be read"):
        told(arn)


def test_a_text_that_is_no_secret_is_refused_and_never_shown(arn: str, manager: Any) -> None:
    manager.put_secret_value(SecretId=arn, SecretString="canary")
    with pytest.raises(InvalidSettings, match="one or two of 32") as refused:
        told(arn)
    assert "canary" not in str(refused.value)
