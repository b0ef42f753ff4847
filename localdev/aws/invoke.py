"""Invokes a function, and waits for one that Lambda has to make ready first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

#: A function of a VPC that was idle for weeks has lost its network interface; the first invocation
#: is refused and makes Lambda bring it back. Source: AWS Lambda Developer Guide, "Lambda function
#: states"; API Reference, Invoke. In each of these cases nothing was run.
_NOT_READY = ("ResourceNotReadyException", "ENINotReadyException", "ResourceConflictException")
#: Of the two waiters, the one that needs no more than lambda:GetFunctionConfiguration.
_WAITER = "function_active"


@dataclass(frozen=True)
class Raised:
    """What a function raised instead of answering: the error's type, and its text."""

    kind: str
    message: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.kind}: {self.message}"


def invoke(functions: Any, name: str, event: dict[str, Any]) -> dict[str, Any] | Raised:
    """Return what the function answers to ``event``; ``functions`` is a client of Lambda's.

    It is asked a second time only if Lambda said that it was not ready. Raises botocore's errors.
    """
    asked = {"FunctionName": name, "Payload": json.dumps(event).encode()}
    try:
        answer = functions.invoke(**asked)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_READY:
            raise
        functions.get_waiter(_WAITER).wait(FunctionName=name)
        answer = functions.invoke(**asked)
    told = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        return Raised(str(told.get("errorType")), str(told.get("errorMessage")))
    return dict(told)
