"""The rules for settings that no bound can tell, and what is said of those that are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_Settings = TypeVar("_Settings", bound=Any)

SMALL_BATCH = 10
MAX_QUEUE_NAME = 80
#: Hosts that are reached without a network.
_HERE = (None, "", "127.0.0.1", "::1", "localhost")


def parts(url: str) -> SplitResult:
    """Return what a URL is made of, or nothing of all that if it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def check_exemptions(text: str) -> str:
    """Return an OUTBOUND_ALLOW; raises ValueError, with the rule alone, if it cannot be read."""
    if text:
        from chalicelib.outbound import Exempt  # noqa: PLC0415  (rarely needed)

        try:
            Exempt.parse(text)
        except ValueError:  # its text has the value
            rule = "has to be names, addresses and networks with commas between them"
            raise ValueError(rule) from None
    return text


def check_together(settings: _Settings) -> _Settings:
    """Return Settings; raises ValueError, with the rule, if they do not fit each other."""
    # Source: AWS Lambda API Reference, CreateEventSourceMapping, BatchSize.
    if settings.batch_size > SMALL_BATCH and settings.batch_window == 0:
        raise ValueError("BATCH_SIZE over 10 needs a BATCH_WINDOW of at least 1")
    # Source: Amazon SQS Developer Guide, "Queue quotas".
    if len(settings.high_queue_name) > MAX_QUEUE_NAME:
        raise ValueError("QUEUE_NAME may have 75 characters at most with PRIORITY_QUEUE=on")
    return settings


def unsafe(settings: Any) -> Iterator[str]:
    """Yield what Lambda is not to run with, of these Settings, each with its name first."""
    if settings.auth == "off":
        yield "AUTH: off is for a laptop; in Lambda it has to be keys"
    # GetSecretValue takes less of it, but a policy on less matches nothing.
    if (arn := settings.database_secret_arn) and arn[-7:-6] != "-":
        yield "DATABASE_SECRET_ARN: is not the whole ARN, which ends in a hyphen and six characters"
    if (arn := settings.webhook_secrets_arn) and arn[-7:-6] != "-":
        yield "WEBHOOK_SECRETS_ARN: is not the whole ARN, which ends in a hyphen and six characters"
    if settings.webhook_secrets:
        yield "WEBHOOK_SECRETS: whoever may see the function sees them; WEBHOOK_SECRETS_ARN"
    if parts(settings.email_url).password:
        yield "EMAIL_URL: whoever may see the function sees the password; use ses:"
    yield from _unsafe_database(settings)


def _unsafe_database(settings: Any) -> Iterator[str]:
    url = parts(settings.database_url)
    if not url.scheme:
        yield "DATABASE_URL: is not a libpq URL"
        return
    told = parse_qs(url.query)
    here = url.hostname in _HERE and not told.keys() & {"host", "hostaddr"}
    if not here and (url.password or "password" in told):
        yield "DATABASE_URL: whoever may see the function sees the password; DATABASE_SECRET_ARN"
    by_token = settings.database_auth == "iam"
    if by_token and (here or not url.username or "," in url.netloc):
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
