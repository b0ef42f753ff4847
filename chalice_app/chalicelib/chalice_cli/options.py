"""What a stage of config.json may have besides: a database, snapshots, pollers of its own.

They belong to the stage and are no parameters of the stack; docs/decisions/0005 tells why.
"""

from __future__ import annotations

import json
import sys
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.settings import Settings

#: Python whose runtime can be restored from a snapshot.
#: Source: AWS Lambda Developer Guide, "Improving startup performance with Lambda SnapStart".
SNAPSTART_SINCE = (3, 12)

_ON_THE_NETWORK = ("DATABASE_URL", "DATABASE_SECRET_ARN", "DATABASE_TLS")
#: What a function is invoked by when its versions have snapshots.
ALIAS = "live"
_SNAPPED = ("APIHandler", "Worker", "WorkerHigh")


class Pollers(BaseModel):
    """How many of Lambda's event pollers wait at the queue.

    Source of the bounds: AWS CloudFormation, AWS::Lambda::EventSourceMapping
    ProvisionedPollerConfig.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: int = Field(2, ge=2, le=200)
    maximum: int = Field(ge=2, le=2000)

    @model_validator(mode="after")
    def _are_ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("minimum is greater than maximum")
        return self


class Options(BaseModel):
    """The options of a stage, named as in config.json; what else stands there is Chalice's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    database: Literal["existing", "aurora"] = "existing"
    database_resource_id: str = Field("", pattern=r"^((cluster|db|prx)-[A-Za-z0-9]+)?$")
    snapstart: bool = False
    pollers: Pollers | None = None

    @property
    def aurora(self) -> bool:
        """Tell whether the stack has a database of its own."""
        return self.database == "aurora"

    @property
    def needs_a_stack(self) -> bool:
        """Tell whether Chalice's own way of deploying would leave out some of it."""
        return self.aurora or self.snapstart or self.pollers is not None

    def refusal(self, config: Any, told: Settings) -> str:
        """Return why the stage cannot be packaged like this, or nothing."""
        if self.aurora and config.subnet_ids:
            return "database aurora brings a network; subnet_ids is for a database of yours"
        if self.aurora and set(_ON_THE_NETWORK) & config.environment_variables.keys():
            return f"database aurora sets {', '.join(_ON_THE_NETWORK)}; leave them out"
        if told.database_auth == "iam" and not self.aurora and not self.database_resource_id:
            return "DATABASE_AUTH=iam needs the stage's database_resource_id"
        if self.snapstart and sys.version_info < SNAPSTART_SINCE:
            return "snapstart needs Python 3.12 or newer, and this one is what Lambda would run"
        return ""

    def environ(self, told: dict[str, str]) -> dict[str, str]:
        """Return the stage's environment with what will be known when there is a database."""
        if not self.aurora:
            return told
        secret = {"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:::secret:tasks-AbCdEf"}
        where = {"DATABASE_URL": "postgresql://tasks_admin@database/tasks", "DATABASE_TLS": "rds"}
        return {**where, **({} if told.get("DATABASE_AUTH") == "iam" else secret), **told}

    def names(self, told: Settings) -> dict[str, Any]:
        """Return what stands for the tokens of the database, a reference where it is ours."""
        names: dict[str, Any] = {}
        if told.database_auth == "iam":
            names["DATABASE_USER_ARN"] = self._user_arn(told.database_user)
        elif self.aurora:
            names["DATABASE_SECRET_ARN"] = {
                "Fn::GetAtt": ["TasksDatabase", "MasterUserSecret.SecretArn"]
            }
        elif told.database_secret_arn:
            names["DATABASE_SECRET_ARN"] = told.database_secret_arn
        if told.webhook_secrets_arn:
            names["WEBHOOK_SECRETS_ARN"] = told.webhook_secrets_arn
        if told.email_url == "ses:":
            names["EMAIL_ADDRESS"] = parseaddr(told.email_from)[1]
        return names

    def _user_arn(self, user: str) -> Any:
        # Source: Amazon Aurora User Guide, "Creating and using an IAM policy for IAM database
        # access".
        if not self.aurora:
            return f"arn:*:rds-db:*:*:dbuser:{self.database_resource_id}/{user}"
        where = "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:"
        return {"Fn::Sub": f"{where}${{TasksDatabase.DBClusterResourceId}}/{user}"}

    def apply(self, template: dict[str, Any], folder: Path, merger: Any, *, iam: bool) -> None:
        """Add what the options ask for to a SAM template, in place; ``folder`` has aurora.json."""
        if self.aurora:
            part = json.loads((folder / "aurora.json").read_text(encoding="utf-8"))
            if iam:  # no secret is read, and the endpoint costs money
                del part["Globals"]["Function"]["Environment"]["Variables"]["DATABASE_SECRET_ARN"]
                del part["Resources"]["SecretsManagerEndpoint"]
            merged = merger.merge(part, template)
            template.clear()
            template.update(merged)
        if self.snapstart:
            _snap(template["Resources"])
        if self.pollers:
            events = template["Resources"]["Worker"]["Properties"]["Events"]
            poll(events["WorkerSqsEventSource"]["Properties"], self.pollers)


def read(config: Any) -> Options:
    """Return the options of the stage of this Chalice configuration.

    Ends the process where one is out of bounds.
    """
    disk = config.config_from_disk
    found = disk | disk.get("stages", {}).get(config.chalice_stage, {})
    try:
        return Options.model_validate(found)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, broken['loc']))}: {broken['msg']}" for broken in error.errors()
        ]
        sys.exit("\n".join([f"Stage {config.chalice_stage}, in config.json:", *lines]))


def mend_deploy(deployer: Any) -> None:
    """Mend ``chalice.deploy.deployer``: without a stack a stage would get half of its options."""
    whole = deployer.Deployer
    deploy = whole.deploy

    def deploying(self: Any, config: Any, chalice_stage_name: str) -> Any:
        if read(config).needs_a_stack:
            sys.exit(
                f"Stage {chalice_stage_name} has options that only a stack of CloudFormation has; "
                "deploy it with scripts/deploy.sh."
            )
        return deploy(self, config, chalice_stage_name)

    whole.deploy = deploying


def _snap(resources: dict[str, Any]) -> None:
    for name in [one for one in _SNAPPED if one in resources]:
        resources[name]["Properties"] |= {
            "AutoPublishAlias": ALIAS,
            # Else a setting that changes would reach no version, and so nobody.
            "AutoPublishAliasAllProperties": True,
            "SnapStart": {"ApplyOn": "PublishedVersions"},
        }
    alias = f"APIHandlerAlias{ALIAS}"
    api = json.dumps(resources["RestAPI"])
    resources["RestAPI"] = json.loads(api.replace("${APIHandler.Arn}", f"${{{alias}}}"))
    resources["APIHandlerInvokePermission"]["Properties"]["FunctionName"] = {"Ref": alias}


def poll(event: dict[str, Any], pollers: Pollers) -> None:
    """Give a mapping pollers of its own, in place of a maximum concurrency."""
    # AWS takes one of the two. Source: AWS Lambda Developer Guide, "Configuring scaling behavior
    # for SQS event source mappings".
    event.pop("ScalingConfig", None)
    event["ProvisionedPollerConfig"] = {
        "MinimumPollers": pollers.minimum,
        "MaximumPollers": pollers.maximum,
    }
