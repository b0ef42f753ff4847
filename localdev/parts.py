"""What the parts of the stack are told by their environment, and how each is handled."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings
from localdev.errors import StackError
from localdev.processes import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# The user's own would reach AWS itself, or be sent to a server that is not AWS.
_NOT_PASSED_ON = {"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"}
_FIXED = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    # Else the endpoint could be passed over, and AWS itself be asked.
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
}
_DEFAULTS = {
    "QUEUE_NAME": "interview-queue",
    "PRIORITY_QUEUE": "off",
    "PARTIAL_BATCH": "report",
    "AUTH": "off",
}


@dataclass(frozen=True)
class Part:
    """A running part: whether it lives, how it ended, what it said last, and how to end it."""

    name: str
    alive: Callable[[], bool]
    ending: Callable[[], str]
    last_words: Callable[[], str]
    stop: Callable[[], None]
    kill: Callable[[], None]


def settings(
    environ: Mapping[str, str], database_url: str, endpoint: str, *, files: Path | None = None
) -> dict[str, str]:
    """Return the variables that let a program use the stack, given the user's ``environ``.

    ``files`` is the folder of tasks' files, unless the user keeps them elsewhere.
    """
    region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or "us-east-1"
    chosen = {name: environ.get(name) or value for name, value in _DEFAULTS.items()}
    return {
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL_SQS": endpoint,
        "AWS_DEFAULT_REGION": region,
        "FILES": environ.get("FILES") or str(files or ""),
        "WEBHOOK_SECRETS": environ.get("WEBHOOK_SECRETS", ""),
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


def refuse_aws(endpoint: str | None, cure: str = "unset it to run locally") -> None:
    """Raise StackError, with the cure, if ``endpoint`` is AWS itself (None is: boto3's default).

    An empty one passes, for it leads nowhere. Also raises StackError if it is no http URL, since
    nobody could tell where that leads.
    """
    if endpoint == "":
        return
    if endpoint is None:
        raise StackError(f"no AWS_ENDPOINT_URL_SQS is set, which means AWS itself; {cure}")
    host = _host(endpoint if "://" in endpoint else f"http://{endpoint}")
    if host is not None and f".{host}".endswith(_aws_suffixes()):
        raise StackError(f"AWS_ENDPOINT_URL_SQS is AWS itself ({host}); {cure}")
    if "://" not in endpoint:
        raise StackError("AWS_ENDPOINT_URL_SQS has no scheme; write http:// before it")
    if host is None:
        raise StackError("AWS_ENDPOINT_URL_SQS is no URL of the form http://host:port")


def _host(url: str) -> str | None:
    # What is left out here is read in different ways by different libraries.
    if re.search(r"[\s\\\x00-\x1f]", url):
        return None
    try:
        parts = urlsplit(url)
        # As a resolver would be asked: with plain dots and letters, whatever stood for them.
        name = (parts.hostname or "").encode("idna").decode().lower().rstrip(".")
    except ValueError:
        return None
    return name if parts.scheme in {"http", "https"} and name else None


@functools.cache
def _aws_suffixes() -> tuple[str, ...]:
    # In the function: it takes 0.2 s to import, and most starts name no endpoint.
    from botocore.loaders import Loader  # noqa: PLC0415

    partitions = Loader().load_data("partitions")["partitions"]
    keys = ("dnsSuffix", "dualStackDnsSuffix")
    found = {str(partition["outputs"][key]) for partition in partitions for key in keys}
    return tuple(f".{suffix}" for suffix in sorted(found | {"api.aws"}))
