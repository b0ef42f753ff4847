"""A stage's CloudFormation stack: changed by a change set, or left where nothing changes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localdev.aws.account import refusals
from localdev.deploy import states
from localdev.deploy.change import Change
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from localdev.aws.account import Aws

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
#: Seconds that a change of the stack may take. A function that leaves a VPC can take most of it:
#: CloudFormation waits until Lambda has deleted the network interfaces (CloudFormation template
#: reference, AWS::Lambda::Function VpcConfig).
PATIENCE = 60 * 60


class Stack:
    """The stack ``tasks-STAGE``. Every method may raise StackError."""

    def __init__(self, aws: Aws, name: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Take the stack's name; nothing is asked yet."""
        self.name = name
        self._api = aws.cloudformation
        self._region = aws.region
        self._pause = pause

    def prepare(
        self,
        template_url: str,
        parameters: dict[str, str],
        *,
        may_release: bool = False,
        repair: bool = False,
    ) -> Change:
        """Find out what makes the stack what the template says; nothing is changed yet.

        A parameter that is not given keeps the value it has, or else its default. A database
        leaves the stack only if it ``may_release`` one. To ``repair`` is to change also what is not
        as the template of the deployment before had it.
        """
        before = self._describe()
        status = before["StackStatus"] if before else states.NEW
        states.check(self.name, status, self._region)
        new = status == states.NEW
        had = {} if new or before is None else before
        change_set = f"deploy-{time.time_ns()}"
        with refusals(f"prepare a change of the stack {self.name}"):
            self._api.create_change_set(
                StackName=self.name,
                ChangeSetName=change_set,
                ChangeSetType="CREATE" if new else "UPDATE",
                TemplateURL=template_url,
                Parameters=self._parameters(template_url, had, parameters),
                Capabilities=CAPABILITIES,
                **({"DeploymentMode": "REVERT_DRIFT"} if repair and not new else {}),
            )
        change = Change(self._api, self.name, change_set, new=new)
        self._wait_until_ready(change)
        if not (change.empty or may_release):
            change.keep_databases()
        return change

    def carry_out(self, change: Change) -> bool:
        """Carry the change out, and wait; return False if it was none."""
        if change.empty:
            return False
        change.execute()
        self._wait_for_change()
        return True

    def template(self) -> dict[str, Any]:
        """Return the template of the last deployment, as it was sent."""
        with refusals(f"read the template of the stack {self.name}"):
            told = self._api.get_template(StackName=self.name, TemplateStage="Original")
        body = told["TemplateBody"]  # botocore reads JSON
        return dict(json.loads(body) if isinstance(body, str) else body)

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

    def _parameters(
        self, template_url: str, had: dict[str, Any], given: dict[str, str]
    ) -> list[dict[str, Any]]:
        told = self._api.get_template_summary(TemplateURL=template_url)
        known = {one["ParameterKey"] for one in told.get("Parameters", ())}
        if unknown := given.keys() - known:
            raise StackError(f"the template has no parameter {', '.join(sorted(unknown))}")
        kept = {one["ParameterKey"] for one in had.get("Parameters", ())}
        previous = (known & kept) - given.keys()
        return [
            *({"ParameterKey": name, "ParameterValue": given[name]} for name in sorted(given)),
            *({"ParameterKey": name, "UsePreviousValue": True} for name in sorted(previous)),
        ]

    def _wait_until_ready(self, change: Change) -> None:
        for _ in self._until_patience_ends():
            if change.is_ready():
                return
        raise StackError(f"CloudFormation did not prepare the change of {self.name} in time")

    def _wait_for_change(self) -> None:
        for _ in self._until_patience_ends():
            status = (self._describe() or {}).get("StackStatus", "DELETE_COMPLETE")
            if status in states.DONE:
                return
            if not status.endswith("_IN_PROGRESS"):
                told = [self._failures(), states.cure(self.name, status, self._region)]
                lines = "\n".join(filter(None, told))
                raise StackError(f"the stack {self.name} is {status}:\n{lines}")
        raise StackError(
            f"the stack {self.name} is still being changed; see its events, and deploy again when "
            "that is over"
        )

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
