"""Clients of one account and region, and AWS's refusals in one sentence."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, read_timeout=60)
#: Seconds that an invocation may take: longer than a function may.
PATIENCE = 330


@dataclass(frozen=True)
class Aws:
    """One account and region, and what speaks to its services."""

    account: str
    region: str
    s3: Any
    cloudformation: Any
    functions: Any


def connect(region: str | None) -> Aws:
    """Find out whose credentials these are. Raises StackError if there are none, or no region."""
    with refusals("say whose credentials these are"):
        session = boto3.Session(region_name=region)
        if session.region_name is None:
            raise NoRegionError
        account = session.client("sts", config=_CONFIG).get_caller_identity()["Account"]
        return Aws(
            account=account,
            region=session.region_name,
            s3=session.client("s3", config=_CONFIG),
            cloudformation=session.client("cloudformation", config=_CONFIG),
            functions=functions(session.region_name),
        )


def functions(region: str | None, patience: float = PATIENCE) -> Any:
    """Return a client of Lambda that asks once, for what is invoked twice may happen twice.

    It waits for an answer for ``patience`` seconds. Raises botocore's NoRegionError.
    """
    config = Config(connect_timeout=5, read_timeout=patience, retries={"total_max_attempts": 1})
    return boto3.client("lambda", region_name=region, config=config)


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """Raise AWS's errors inside the block as a StackError that says what it was asked to do."""
    try:
        yield
    except NoRegionError:
        raise StackError("no region is set; give --region, or set AWS_DEFAULT_REGION") from None
    except NoCredentialsError:
        raise StackError("no AWS credentials were found; set AWS_PROFILE, for example") from None
    except ClientError as error:
        told = error.response["Error"]
        raise StackError(f"AWS refused to {what}: {told['Code']}: {told['Message']}") from None
    except BotoCoreError as error:
        raise StackError(f"AWS could not be asked to {what}: {error}") from None
