"""Asks AWS for one fact at a time; what it refuses becomes an Unknown that says so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from localdev.aws.account import functions
from localdev.doctor.finding import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
#: Seconds that the function admin may take to answer.
PATIENCE = 60
_REFUSED = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation")
_ABSENT = ("NotFound", "NoSuchEntity", "NonExistentQueue", "QueueDoesNotExist")
#: Seconds before anything is said of how it goes.
QUIET = 2.0


class Progress:
    """Tells what is being asked, once it takes longer than one likes to wait for."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what prints a line."""
        self._say = say
        self._asked = "AWS whose credentials these are"
        self._slow = threading.Event()
        self._timer = threading.Timer(QUIET, self._speak_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to count the time."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Say no more."""
        self._timer.cancel()

    def step(self, what: str) -> None:
        """Note what is asked next."""
        self._asked = what
        if self._slow.is_set():
            self._tell()

    def _speak_up(self) -> None:
        self._slow.set()
        self._tell()

    def _tell(self) -> None:
        self._say(f"asking {self._asked} …")


def client(service: str, region: str) -> Any:
    """Return a client of AWS's that gives up in time."""
    if service == "lambda":
        return functions(region, PATIENCE)
    make: Any = boto3.client  # whose stubs know each name as a literal
    return make(service, region_name=region, config=_CONFIG)


def ask(permission: str, call: Callable[[], T]) -> T | Unknown:
    """Return what ``call`` returns; ``permission`` is the one that it needs.

    If AWS refuses, or cannot be reached, that is the Unknown's reason.
    """
    try:
        return call()
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if any(part in code for part in _REFUSED):
            return Unknown(f"you lack the permission {permission}")
        return Unknown(f"{permission} failed: {code}: {message}")
    except (BotoCoreError, ResponseParserError) as error:
        return Unknown(f"{permission} failed: {error}")


def ask_for(permission: str, call: Callable[[], T]) -> T | Unknown | None:
    """Do the same; None if there is no such thing."""
    try:
        return ask(permission, lambda: _present(call))
    except _AbsentError:
        return None


def attributes(sqs: Any, queue: str) -> dict[str, str] | Unknown | None:
    """Return the attributes of a queue; None if there is no such queue."""
    url = ask_for("sqs:GetQueueUrl", lambda: str(sqs.get_queue_url(QueueName=queue)["QueueUrl"]))
    if url is None or isinstance(url, Unknown):
        return url
    return ask_for(
        "sqs:GetQueueAttributes",
        lambda: dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]),
    )


class _AbsentError(Exception):
    pass


def _present(call: Callable[[], T]) -> T:
    try:
        return call()
    except ClientError as error:
        if any(part in error.response["Error"]["Code"] for part in _ABSENT):
            raise _AbsentError from None
        raise
