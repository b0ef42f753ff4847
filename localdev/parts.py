"""What the parts of the stack are told by their environment, and how each is handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings
from localdev.errors import StackError
from localdev.processes import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The user's own would reach AWS itself, or be sent to a server that is not AWS.
_NOT_PASSED_ON = {"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"}
_FIXED = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_DEFAULTS = {"QUEUE_NAME": "interview-queue", "PARTIAL_BATCH": "report"}


@dataclass(frozen=True)
class Part:
    """A running part: whether it lives, what it said last, and how to end it."""

    name: str
    alive: Callable[[], bool]
    last_words: Callable[[], str]
    stop: Callable[[], None]
    kill: Callable[[], None]


def settings(environ: Mapping[str, str], database_url: str, endpoint: str) -> dict[str, str]:
    """Return the variables that let a program use the stack, given the user's ``environ``."""
    region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or "us-east-1"
    chosen = {name: environ.get(name) or value for name, value in _DEFAULTS.items()}
    return {
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL_SQS": endpoint,
        "AWS_DEFAULT_REGION": region,
        **chosen,
        **_FIXED,
    }


def environ_of_parts(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a part: the user's, but for what ``values`` decide."""
    kept = {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}
    no_proxy = environ.get("NO_PROXY") or environ.get("no_proxy")
    direct = ",".join(filter(None, [no_proxy, HOST]))
    return kept | dict(values) | {"NO_PROXY": direct, "no_proxy": direct}


def checked_settings(environ: Mapping[str, str]) -> Settings:
    """Return the app's settings. Raises StackError naming those that are out of bounds."""
    try:
        return Settings.from_env(environ)
    except InvalidSettings as error:
        raise StackError(str(error)) from None


def refuse_aws(endpoint: str) -> None:
    """Raise StackError if ``endpoint`` is AWS itself."""
    host = f".{urlsplit(endpoint).hostname or ''}"
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        message = f"AWS_ENDPOINT_URL_SQS is AWS itself ({endpoint}); unset it to run locally"
        raise StackError(message)
