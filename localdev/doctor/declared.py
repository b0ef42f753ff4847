"""What a stage should be, by the files that it is deployed from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalice.constants import VPC_ATTACH_POLICY

from chalicelib.chalice_cli import HIGH_WORKER, options, priority
from chalicelib.chalice_cli import stage as stages
from localdev.aws import names

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.settings import Settings

#: The functions that are restored from snapshots, where a stage has them.
_SNAPPED = (names.API, "worker", HIGH_WORKER)


@dataclass(frozen=True)
class Declared:
    """A stage, as .chalice/ has it; ``chalice`` is that folder."""

    stage: str
    region: str
    chalice: Path

    def check(self) -> None:
        """Raise StackError unless there is such a stage."""
        names.check(self._config(), self.stage)

    @property
    def functions(self) -> dict[str, str]:
        """The name in AWS of each function, by its short name."""
        short = [*self._config()["stages"][self.stage]["lambda_functions"]]
        short += [HIGH_WORKER] if self._has_high else []
        return {name: names.function(self.stage, name) for name in short}

    @property
    def log_days(self) -> int:
        """Days that logs are kept."""
        return int(self._config()["log_retention_in_days"])

    @property
    def alarms(self) -> list[str]:
        """The names of the alarms."""
        return [
            str(one["Properties"]["AlarmName"])
            for one in (self._resources() | self._seconds()).values()
            if one.get("Type") == "AWS::CloudWatch::Alarm"
        ]

    @property
    def endpoint_type(self) -> str:
        """The type of the API's endpoint."""
        return str(self._resources()["RestAPI"]["Properties"]["EndpointConfiguration"]["Type"])

    @property
    def options(self) -> options.Options:
        """What the stage has besides."""
        config = self._config()
        return options.Options.model_validate(config | config["stages"][self.stage])

    def qualifier(self, short: str) -> str | None:
        """Return the alias by which a function is invoked, if it has one."""
        return options.ALIAS if self.options.snapstart and short in _SNAPPED else None

    def rights(self, name: str, settings: Settings, *, in_vpc: bool) -> list[dict[str, Any]]:
        """Return the statements that a function's policy has, filled in."""
        blocks = self._config()["stages"][self.stage]["lambda_functions"]
        policy = self._read(blocks["worker" if name == HIGH_WORKER else name]["iam_policy_file"])
        told = {
            "STAGE": self.stage,
            "QUEUE_NAME": settings.queue_name,
            "DATABASE_SECRET_ARN": settings.database_secret_arn,
            **priority.names(settings),
        }
        if not self.options.aurora:  # there the user's ARN is known to the stack alone
            told |= self.options.names(settings)
        filled = {token: value for token, value in told.items() if value}
        found = stages.granted(policy["Statement"], filled)
        return [*found, VPC_ATTACH_POLICY] if in_vpc else found

    def deploy(self, *more: str) -> str:
        """Return the command that deploys the stage."""
        return " ".join(["scripts/deploy.sh", self.stage, "--region", self.region, *more])

    def repair(self) -> str:
        """Return the command that makes the stage what it was declared, whoever changed it."""
        return self.deploy("--repair")

    def _config(self) -> dict[str, Any]:
        return self._read("config.json")

    @property
    def _has_high(self) -> bool:
        config = self._config()
        levels = (config, config["stages"][self.stage])
        told = [one.get("environment_variables", {}).get("PRIORITY_QUEUE") for one in levels]
        return bool((told[1] or told[0]) == "on")

    def _resources(self) -> dict[str, Any]:
        return dict(self._filled(self._read("resources.json")["Resources"]))

    def _seconds(self) -> dict[str, Any]:
        if not self._has_high:
            return {}
        return dict(self._filled(priority.seconds(self._read("resources.json")["Resources"])))

    def _filled(self, resources: dict[str, Any]) -> Any:
        return stages.filled(resources, {"STAGE": self.stage})

    def _read(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.chalice / name).read_text(encoding="utf-8")))


def environ_of(function: dict[str, Any], region: str) -> dict[str, str]:
    """Return the environment that a function is told, as far as settings are read from it."""
    told = function.get("Environment", {}).get("Variables", {})
    return {"AWS_REGION": region, **{str(name): str(value) for name, value in told.items()}}
