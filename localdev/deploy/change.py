"""A change set: what would be changed, before it is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from localdev.aws.account import refusals
from localdev.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNCHANGED = ("didn't contain changes", "No updates are to be performed")


class Change:
    """A change set of a stack. Every method may raise StackError."""

    def __init__(self, cloudformation: Any, stack: str, name: str, *, new: bool) -> None:
        """Take the names of both; ``new`` says that it makes the stack."""
        self.stack = stack
        self.new = new
        #: Whether it changes nothing; then it is dropped already.
        self.empty = False
        self._api = cloudformation
        self._told: dict[str, Any] = {}
        self._names = {"StackName": stack, "ChangeSetName": name}

    def is_ready(self) -> bool:
        """Tell whether CloudFormation knows by now what is to be changed.

        Raises StackError, and drops the change, if it cannot be made.
        """
        told = self._told = self._described()
        if told["Status"] == "FAILED":
            self.drop()
            reason = str(told.get("StatusReason"))
            self.empty = any(words in reason for words in _UNCHANGED)
            if not self.empty:
                raise StackError(f"CloudFormation cannot change the stack {self.stack}: {reason}")
        return self.empty or told["Status"] == "CREATE_COMPLETE"

    def keep_databases(self) -> None:
        """Raise StackError, and drop the change, if it takes a database out of the stack."""
        if lost := list(self._lost_databases()):
            self.drop()
            raise StackError(
                f"this would take the database {', '.join(lost)} out of the stack {self.stack}; if "
                "that is meant, say --release-database (docs/deploy.md)"
            )

    @contextlib.contextmanager
    def dropped_on_failure(self) -> Iterator[None]:
        """Drop the change if the block does not end well."""
        try:
            yield
        except BaseException:
            if not self.empty:
                with contextlib.suppress(StackError):  # what failed first is told
                    self.drop()
            raise

    def drop(self) -> None:
        """Forget the change."""
        with refusals("drop the change"):
            self._api.delete_change_set(**self._names)

    def execute(self) -> None:
        """Begin to carry the change out."""
        with refusals(f"change the stack {self.stack}"):
            self._api.execute_change_set(**self._names)

    def _described(self, **more: str) -> dict[str, Any]:
        with refusals("describe the change"):
            return dict(self._api.describe_change_set(**self._names, **more))

    def _lost_databases(self) -> Iterator[str]:
        told = self._told
        while True:
            for change in told.get("Changes", ()):
                one = change["ResourceChange"]
                gone = one["Action"] == "Remove" or one.get("Replacement") == "True"
                if gone and one["ResourceType"] == "AWS::RDS::DBCluster":
                    yield one["PhysicalResourceId"]
            if "NextToken" not in told:
                return
            told = self._described(NextToken=told["NextToken"])
