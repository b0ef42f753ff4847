"""Whether policies allow a call: IAM's evaluation, as far as roles without conditions need it.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from localdev.doctor.finding import NotKnownError


@dataclass(frozen=True)
class Account:
    """What the ARNs of one account and region have in common."""

    partition: str
    region: str
    number: str

    def named(self, resource: str) -> str:
        """Return the ARN of a policy of ours, with what it leaves open filled in."""
        told = {1: self.partition, 3: self.region, 4: self.number}
        parts = resource.split(":", 5)
        if len(parts) == 1:
            return resource
        return ":".join(
            told.get(place, part) if part == "*" else part for place, part in enumerate(parts)
        )


def calls_of(statement: dict[str, Any], account: Account) -> tuple[list[str], list[str]]:
    """Return the actions and the resources that a statement of ours is about."""
    resources = [account.named(resource) for resource in _listed(statement["Resource"])]
    return _listed(statement["Action"]), resources


def allows(policies: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Tell whether the policies together allow the action; a denial wins.

    Raises NotKnownError where a condition decides.
    """
    allowed = False
    for statement in (one for policy in policies for one in _listed(policy["Statement"])):
        if not _speaks_of(statement, action, resource):
            continue
        if "Condition" in statement:
            raise NotKnownError(f"a condition decides on {action}")
        if statement["Effect"] == "Deny":
            return False
        allowed = True
    return allowed


def _speaks_of(statement: dict[str, Any], action: str, resource: str) -> bool:
    return _chosen(statement, "Action", action.lower()) and _chosen(statement, "Resource", resource)


def _chosen(statement: dict[str, Any], element: str, value: str) -> bool:
    if (inverse := f"Not{element}") in statement:
        return not _chosen({element: statement[inverse]}, element, value)
    patterns = _listed(statement.get(element, []))
    if element == "Action":
        patterns = [pattern.lower() for pattern in patterns]
    return any(_fits(pattern, value) for pattern in patterns)


def _fits(pattern: str, value: str) -> bool:
    written = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(written, value) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
