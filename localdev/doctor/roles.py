"""Finds out what the functions' roles allow: by IAM's simulator, or else by reading policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localdev.doctor.asking import ask, client
from localdev.doctor.finding import NotKnownError, Unknown
from localdev.doctor.rights import allows, calls_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localdev.doctor.rights import Account

SIMULATE = "iam:SimulatePrincipalPolicy"
READ = (
    "iam:ListRolePolicies, iam:GetRolePolicy, iam:ListAttachedRolePolicies, iam:GetPolicy, "
    "iam:GetPolicyVersion"
)


class Roles:
    """The roles of an account."""

    def __init__(self, account: Account) -> None:
        """Take the account; nothing is asked yet."""
        self._account = account
        self._iam = client("iam", account.region)

    def refused(self, role_arn: str, statements: list[dict[str, Any]]) -> list[str] | Unknown:
        """Return the calls of our statements that a role is not allowed."""
        calls = [calls_of(statement, self._account) for statement in statements]
        found = ask(SIMULATE, lambda: list(self._simulated(role_arn, calls)))
        if not isinstance(found, Unknown):
            return found
        try:
            policies = ask(READ, lambda: list(self._policies(role_arn.rpartition("/")[2])))
            if isinstance(policies, Unknown):
                return Unknown(f"{found.reason}; {policies.reason}")
            return [
                f"{action} on {resource}"
                for actions, resources in calls
                for action in actions
                for resource in resources
                if not allows(policies, action, resource)
            ]
        except NotKnownError as error:
            return Unknown(str(error))

    def _simulated(
        self, role_arn: str, calls: Iterable[tuple[list[str], list[str]]]
    ) -> Iterable[str]:
        pages = self._iam.get_paginator("simulate_principal_policy")
        for actions, resources in calls:
            asked = {"PolicySourceArn": role_arn, "ActionNames": actions, "ResourceArns": resources}
            for page in pages.paginate(**asked):
                for one in page["EvaluationResults"]:
                    if one["EvalDecision"] != "allowed":
                        yield f"{one['EvalActionName']} on {one.get('EvalResourceName', '*')}"

    def _policies(self, role: str) -> Iterable[dict[str, Any]]:
        named = self._iam.get_paginator("list_role_policies").paginate(RoleName=role)
        for name in (name for page in named for name in page["PolicyNames"]):
            told = self._iam.get_role_policy(RoleName=role, PolicyName=name)
            yield _document(told["PolicyDocument"])
        attached = self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
        for arn in (one["PolicyArn"] for page in attached for one in page["AttachedPolicies"]):
            version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            told = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)
            yield _document(told["PolicyVersion"]["Document"])


def _document(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):  # boto3 reads it, if it is JSON
        raise NotKnownError("a policy cannot be read")
    return told
