"""What differs from stage to stage: Chalice reads policies and templates as they are written.

In them ``${STAGE}`` stands for the stage and ``${QUEUE_NAME}`` or any other setting for what
config.json, or the setting's default, says of it there.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings

#: What app.py declares by; a function would have another value than its mapping.
_DECLARED = ("queue_name", "batch_size", "batch_window", "maximum_concurrency")
#: Settings that policies and templates name.
_FILLED_IN = ("queue_name", "database_secret_arn", "metrics_namespace")
#: Lambda's mark: what is unsafe there is not deployed.
_IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "any"}
_TOKEN = re.compile(r"\$\{([A-Z_]+)\}")
_API_HANDLER = "-api_handler"


def mend_policies(deployer: Any) -> None:
    """Mend ``chalice.deploy.deployer``, by which both ways of deploying read policies."""
    generator = deployer.PolicyGenerator
    read = generator.handle_filebasediampolicy
    attach = deployer.VPC_ATTACH_POLICY

    def reading(self: Any, config: Any, resource: Any) -> None:
        read(self, config, resource)
        statements = granted(resource.document["Statement"], names(config))
        if config.subnet_ids:
            statements.append(attach)
        resource.document["Statement"] = statements

    generator.handle_filebasediampolicy = reading


def mend_template(package: Any) -> None:
    """Mend ``chalice.package``, which merges our part of the template into its own."""
    merger = package.TemplateMergePostProcessor
    merge = merger.process

    def merging(self: Any, template: dict[str, Any], config: Any, *rest: Any) -> None:
        merge(self, template, config, *rest)
        whole = filled(template, names(config))
        for resource in whole["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Dashboard":
                _as_text(resource["Properties"])
        template.clear()
        template.update(whole)

    merger.process = merging


def mend_environment(configuration: Any) -> None:
    """Mend ``chalice.config``, so that each function is told the stage that it is of."""
    whole = configuration.Config
    told = whole.environment_variables

    def telling(self: Any) -> dict[str, str]:
        return {**told.fget(self), "METRICS_STAGE": self.chalice_stage}

    whole.environment_variables = property(telling)


def mend_logs(appgraph: Any) -> None:
    """Mend ``chalice.deploy.appgraph``, which misnames the log group of the API's function."""
    builder = appgraph.ApplicationGraphBuilder
    create = builder._create_log_group  # noqa: SLF001

    def creating(self: Any, config: Any, resource_name: str, log_group_name: str) -> Any:
        return create(self, config, resource_name, log_group_name.removesuffix(_API_HANDLER))

    builder._create_log_group = creating  # noqa: SLF001


def names(config: Any) -> dict[str, str]:
    """Return what stands for each token in the stage of this Chalice configuration.

    Ends the process where the stage's settings are out of bounds, or where the shell's would
    declare something else than what the functions are told.
    """
    try:
        told = Settings.from_env(config.environment_variables | _IN_LAMBDA)
        here = Settings.from_env()
    except InvalidSettings as error:
        sys.exit(f"Stage {config.chalice_stage}: {error}")
    for name in _DECLARED:
        if getattr(told, name) != getattr(here, name):
            sys.exit(
                f"{name.upper()} is set in this shell, but not for the stage "
                f"{config.chalice_stage}; unset it, or put it into .chalice/config.json."
            )
    values = {name.upper(): getattr(told, name) for name in _FILLED_IN}
    return {"STAGE": config.chalice_stage, **{name: told for name, told in values.items() if told}}


def granted(statements: list[Any], known: dict[str, str]) -> list[Any]:
    """Return the statements, filled in, but for those on what the stage does not have."""
    return [
        filled(one, known)
        for one in statements
        if known.keys() >= set(_TOKEN.findall(json.dumps(one)))
    ]


def _as_text(dashboard: dict[str, Any]) -> None:
    # CloudFormation takes text; as JSON in JSON nobody could read it.
    dashboard["DashboardBody"] = {"Fn::Sub": json.dumps(dashboard["DashboardBody"])}


def filled(part: Any, known: dict[str, str]) -> Any:
    """Return any part of a document with its tokens filled in; unknown ones stay."""
    if isinstance(part, str):
        return _TOKEN.sub(lambda token: known.get(token[1], token[0]), part)
    if isinstance(part, list):
        return [filled(one, known) for one in part]
    if isinstance(part, dict):
        return {filled(name, known): filled(value, known) for name, value in part.items()}
    return part
