"""A stage's CloudFormation stack: changed by a change set, or left where nothing changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localdev.aws.account import refusals
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from localdev.aws.account import Aws

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
PATIENCE = 30 * 60  # seconds that a change of the stack may take
_NEW = "REVIEW_IN_PROGRESS"  # made by a change set that was never carried out
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")


class Stack:
    """The stack ``tasks-STAGE``. Every method may raise StackError."""

    def __init__(self, aws: Aws, name: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Take the stack's name; nothing is asked yet."""
        self.name = name
        self._api = aws.cloudformation
        self._pause = pause

    def exists(self) -> bool:
        """Tell whether there is such a stack, with something in it, that can be changed."""
        described = self._describe()
        self._check(described)
        return described is not None and described["StackStatus"] != _NEW

    def change(
        self, template_url: str, parameters: dict[str, str], *, may_release: bool = False
    ) -> bool:
        """Make the stack what the template says; return False if it was that already.

        A parameter that is not given keeps the value it has, or else its default. A database
        leaves the stack only if it ``may_release`` one.
        """
        before = self._describe()
        self._check(before)
        new = before is None or before["StackStatus"] == _NEW
        change_set = f"deploy-{time.time_ns()}"
        with refusals(f"prepare a change of the stack {self.name}"):
            self._api.create_change_set(
                StackName=self.name,
                ChangeSetName=change_set,
                ChangeSetType="CREATE" if new else "UPDATE",
                TemplateURL=template_url,
                Parameters=self._parameters(template_url, before, parameters),
                Capabilities=CAPABILITIES,
            )
        if not self._is_prepared(change_set, may_release=may_release):
            return False
        with refusals(f"change the stack {self.name}"):
            self._api.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        self._wait_for_change()
        return True

    def outputs(self) -> dict[str, str]:
        """Return the outputs of the stack."""
        described = self._describe() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", ())}

    def _describe(self) -> dict[str, Any] | None:
        with refusals(f"describe the stack {self.name}"):
            try:
                return dict(self._api.describe_stacks(StackName=self.name)["Stacks"][0])
            except ClientError as error:
                if "does not exist" in error.response["Error"]["Message"]:
                    return None
                raise

    def _check(self, described: dict[str, Any] | None) -> None:
        status = described["StackStatus"] if described else _NEW
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            raise StackError(
                f"the stack {self.name} is {status}: its first deployment failed; see its events "
                "for why, delete it, and deploy again"
            )
        if status.endswith("_IN_PROGRESS") and status != _NEW:
            raise StackError(f"the stack {self.name} is being changed ({status}); wait for it")

    def _parameters(
        self, template_url: str, before: dict[str, Any] | None, given: dict[str, str]
    ) -> list[dict[str, Any]]:
        told = self._api.get_template_summary(TemplateURL=template_url)
        known = {one["ParameterKey"] for one in told.get("Parameters", ())}
        if unknown := given.keys() - known:
            raise StackError(f"the template has no parameter {', '.join(sorted(unknown))}")
        kept = {one["ParameterKey"] for one in (before or {}).get("Parameters", ())}
        previous = (known & kept) - given.keys()
        return [
            *({"ParameterKey": name, "ParameterValue": given[name]} for name in sorted(given)),
            *({"ParameterKey": name, "UsePreviousValue": True} for name in sorted(previous)),
        ]

    def _is_prepared(self, change_set: str, *, may_release: bool) -> bool:
        names = {"StackName": self.name, "ChangeSetName": change_set}
        for _ in self._until_patience_ends():
            with refusals("describe the change"):
                told = self._api.describe_change_set(**names)
            if told["Status"] == "CREATE_COMPLETE":
                lost = [] if may_release else self._lost_databases(names, told)
                if lost:
                    self._drop(names)
                    raise StackError(
                        f"this would take the database {', '.join(lost)} out of the stack "
                        f"{self.name}; if that is meant, say --release-database (docs/deploy.md)"
                    )
                return True
            if told["Status"] == "FAILED":
                reason = str(told.get("StatusReason"))
                self._drop(names)
                if any(words in reason for words in _UNCHANGED):
                    return False
                raise StackError(f"CloudFormation cannot change the stack {self.name}: {reason}")
        raise StackError(f"CloudFormation did not prepare the change of {self.name} in time")

    def _lost_databases(self, names: dict[str, str], told: dict[str, Any]) -> list[str]:
        lost = []
        while True:
            for change in told.get("Changes", ()):
                one = change["ResourceChange"]
                gone = one["Action"] == "Remove" or one.get("Replacement") == "True"
                if gone and one["ResourceType"] == "AWS::RDS::DBCluster":
                    lost.append(one["PhysicalResourceId"])
            if "NextToken" not in told:
                return lost
            with refusals("describe the change"):
                told = self._api.describe_change_set(**names, NextToken=told["NextToken"])

    def _drop(self, names: dict[str, str]) -> None:
        with refusals("drop the change"):
            self._api.delete_change_set(**names)

    def _wait_for_change(self) -> None:
        for _ in self._until_patience_ends():
            status = (self._describe() or {}).get("StackStatus", "DELETE_COMPLETE")
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return
            if not status.endswith("_IN_PROGRESS"):
                raise StackError(f"the stack {self.name} is {status}:\n{self._failures()}")
        raise StackError(f"the stack {self.name} is still being changed; see its events")

    def _failures(self) -> str:
        with refusals("list the stack's events"):
            events = self._api.describe_stack_events(StackName=self.name)["StackEvents"]
        lines = [
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason')}"
            for event in reversed(events)
            if event.get("ResourceStatus", "").endswith("_FAILED")
        ]
        return "\n".join(lines[:10]) or "  its events do not say why"

    def _until_patience_ends(self) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            yield
            self._pause(2)
