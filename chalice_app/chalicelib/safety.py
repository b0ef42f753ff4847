"""Which settings are right on a laptop, and not in Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Hosts that are reached without a network.
_HERE = (None, "", "127.0.0.1", "::1", "localhost")


def parts_of(url: str) -> SplitResult:
    """Return the parts of a URL; all of them empty, if it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def check_exemptions(text: str) -> None:
    """Raise ValueError, with the rule alone, for an OUTBOUND_ALLOW that cannot be read."""
    if text:
        from chalicelib.outbound import Exempt  # noqa: PLC0415  (rarely needed)

        try:
            Exempt.parse(text)
        except ValueError:  # its text has the value
            rule = "has to be names, addresses and networks with commas between them"
            raise ValueError(rule) from None


def unsafe(settings: Any) -> Iterator[str]:
    """Tell what of a Settings must not be in Lambda, a sentence for each, never its value."""
    if settings.auth == "off":
        yield "AUTH: off is for a laptop; in Lambda it has to be keys"
    # GetSecretValue takes less of it, but a policy on less matches nothing.
    if (arn := settings.database_secret_arn) and arn[-7:-6] != "-":
        yield "DATABASE_SECRET_ARN: is not the whole ARN, which ends in a hyphen and six characters"
    if (arn := settings.webhook_secrets_arn) and arn[-7:-6] != "-":
        yield "WEBHOOK_SECRETS_ARN: is not the whole ARN, which ends in a hyphen and six characters"
    if settings.webhook_secrets:
        yield "WEBHOOK_SECRETS: whoever may see the function sees them; WEBHOOK_SECRETS_ARN"
    if parts_of(settings.email_url).password:
        yield "EMAIL_URL: whoever may see the function sees the password; use ses:"
    yield from _unsafe_database(settings)


def _unsafe_database(settings: Any) -> Iterator[str]:
    parts = parts_of(settings.database_url)
    if not parts.scheme:
        yield "DATABASE_URL: is not a libpq URL"
        return
    host = parts.hostname
    told = parse_qs(parts.query)
    here = host in _HERE and not told.keys() & {"host", "hostaddr"}
    if not here and (parts.password or "password" in told):
        yield "DATABASE_URL: whoever may see the function sees the password; DATABASE_SECRET_ARN"
    by_token = settings.database_auth == "iam"
    if by_token and (here or not parts.username or "," in parts.netloc):
        yield "DATABASE_URL: DATABASE_AUTH=iam needs the user and the host in it, one of each"
    if by_token and settings.database_secret_arn:
        yield "DATABASE_SECRET_ARN: with DATABASE_AUTH=iam no secret is read; leave it out"
    if here and not (by_token or settings.database_secret_arn):
        return
    if not settings.database_tls and told.get("sslmode") != ["verify-full"]:
        yield "DATABASE_TLS: not set, so any server could pose as the database; rds, or a path"


def explained(broken: Any) -> str:
    """Return the rule that pydantic found broken, with the name of its setting."""
    name = ".".join(map(str, broken["loc"])).upper()
    rule = str(broken["msg"]).removeprefix("Value error, ")
    return f"{name}: {rule}" if name else rule
