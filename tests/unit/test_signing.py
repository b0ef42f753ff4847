from __future__ import annotations

import base64
import hmac

import pytest

from chalicelib.errors import InvalidSettings
from chalicelib.outbound.signing import secrets_of, sign

ROOT, NEW = "r" * 32, "n" * 40


def test_a_signature_is_the_one_of_the_standards_own_example() -> None:
    # Source: standard-webhooks/standard-webhooks, the tests of its libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  (published)
    signature = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_the_secret_changes_there_are_two_signatures() -> None:
    both = sign(secrets_of("acme", f"{NEW},{ROOT}"), "1", 2, b"3").split(" ")
    assert both == [sign(secrets_of("acme", root), "1", 2, b"3") for root in (NEW, ROOT)]


def test_every_tenant_has_a_secret_of_its_own_that_can_be_derived_by_hand() -> None:
    [secret] = secrets_of("acme", ROOT)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert key == hmac.digest(ROOT.encode(), b"acme", "sha256")
    assert secrets_of("globex", ROOT) != [secret]


@pytest.mark.parametrize("roots", ["", "short", f"{ROOT},", f"{ROOT},{NEW},{ROOT}", "r" * 201])
def test_what_is_no_secret_is_refused_and_not_shown(roots: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        secrets_of("acme", roots)
    assert "r" * 32 not in str(refused.value)
