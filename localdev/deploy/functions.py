"""The stage's functions: migrating the schema, before and after the rest of the stack changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import WaiterError

from localdev.aws import names
from localdev.aws.account import refusals
from localdev.aws.invoke import Raised, invoke
from localdev.errors import StackError

if TYPE_CHECKING:
    from localdev.aws.account import Aws

_KEPT = ("Runtime", "Handler", "MemorySize", "Timeout")
#: Which database, and how it is reached.
_REACHED_BY = ("DATABASE_URL", "DATABASE_SECRET_ARN", "DATABASE_AUTH", "DATABASE_TLS")


class Migrator:
    """The function ``migrate`` of a stage. Every method may raise StackError."""

    def __init__(self, aws: Aws, stage: str) -> None:
        """Take the stage; nothing is asked yet."""
        self.name = names.function(stage, "migrate")
        self._api = aws.functions

    def exists(self) -> bool:
        """Tell whether there is this function."""
        with refusals(f"look for {self.name}"):
            try:
                self._api.get_function_configuration(FunctionName=self.name)
            except self._api.exceptions.ResourceNotFoundException:
                return False
        return True

    def moves(self, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Tell whether two SAM templates let it reach the database in different ways."""
        return _reach(_properties(before, self.name)) != _reach(_properties(after, self.name))

    def renew(self, template: dict[str, Any], bucket: str, key: str) -> None:
        """Give this function, and no other, the code of a zip in S3 and what that runs on.

        Python, architecture and settings are those of a SAM template. A setting that only
        CloudFormation can work out stays as it is.
        """
        told = _properties(template, self.name)
        with refusals(f"give {self.name} its new code"):
            self._settle()  # an update that was interrupted may still go on
            self._api.update_function_code(
                FunctionName=self.name,
                S3Bucket=bucket,
                S3Key=key,
                Architectures=told["Architectures"],
            )
            self._settle()
            self._api.update_function_configuration(
                FunctionName=self.name,
                Environment={"Variables": self._environ(told["Environment"]["Variables"])},
                **{name: told[name] for name in _KEPT},
            )
            self._settle()

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return the names of the files that were applied."""
        with refusals(f"invoke {self.name}"):
            answer = invoke(self._api, self.name, {})
        if isinstance(answer, Raised):
            raise StackError(f"{self.name} failed, and the schema is as it was: {answer}")
        return list(answer.get("applied", ()))

    def _environ(self, told: dict[str, Any]) -> dict[str, str]:
        found = self._api.get_function_configuration(FunctionName=self.name)
        had = found.get("Environment", {}).get("Variables", {})
        return {
            name: value if isinstance(value, str) else had[name]
            for name, value in told.items()
            if isinstance(value, str) or name in had
        }

    def _settle(self) -> None:
        try:
            self._api.get_waiter("function_updated_v2").wait(FunctionName=self.name)
        except WaiterError as error:
            raise StackError(f"{self.name} did not take its new code: {error}") from None


def _properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    # What is said of this function, and of all; SAM merges the two (AWS SAM, "Globals").
    common = template.get("Globals", {}).get("Function", {})
    for one in template["Resources"].values():
        own = one.get("Properties", {})
        if one["Type"] == "AWS::Serverless::Function" and own.get("FunctionName") == name:
            environ = _variables(common) | _variables(own)
            return {**common, **own, "Environment": {"Variables": environ}}
    return {}


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    return dict(properties.get("Environment", {}).get("Variables", {}))


def _reach(properties: dict[str, Any]) -> tuple[Any, ...]:
    told = _variables(properties)
    return properties.get("VpcConfig"), [told.get(name) for name in _REACHED_BY]
