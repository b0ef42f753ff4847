"""The stage's functions: migrating the schema, before and after the rest of the stack changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import WaiterError

from localdev.aws import names
from localdev.aws.account import refusals
from localdev.aws.invoke import Raised, invoke
from localdev.errors import StackError

if TYPE_CHECKING:
    from localdev.aws.account import Aws


class Migrator:
    """The function ``migrate`` of a stage. Every method may raise StackError."""

    def __init__(self, aws: Aws, stage: str) -> None:
        """Take the stage; nothing is asked yet."""
        self.name = names.function(stage, "migrate")
        self._api = aws.functions

    def renew(self, bucket: str, key: str) -> None:
        """Give this function, and no other, the code of a zip in S3."""
        with refusals(f"give {self.name} its new code"):
            self._api.update_function_code(FunctionName=self.name, S3Bucket=bucket, S3Key=key)
            try:
                self._api.get_waiter("function_updated_v2").wait(FunctionName=self.name)
            except WaiterError as error:
                raise StackError(f"{self.name} did not take its new code: {error}") from None

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return the names of the files that were applied."""
        with refusals(f"invoke {self.name}"):
            answer = invoke(self._api, self.name, {})
        if isinstance(answer, Raised):
            raise StackError(f"{self.name} failed, and the schema is as it was: {answer}")
        return list(answer.get("applied", ()))
