"""What differs from stage to stage: Chalice reads policies and templates as they are written.

In them stand, for what config.json or a setting's default says of the stage: ``${STAGE}``,
``${QUEUE_NAME}``, ``${VISIBILITY_TIMEOUT}``, ``${MAX_RECEIVE_COUNT}``, ``${METRICS_NAMESPACE}``,
and where the stage has them ``${HIGH_QUEUE_NAME}``, ``${HIGH_WORKER}``, ``${DATABASE_SECRET_ARN}``,
``${DATABASE_USER_ARN}``, ``${WEBHOOK_SECRETS_ARN}``, ``${EMAIL_ADDRESS}`` and ``${FILES_ARN}``; and
for what every alarm does, ``${ALARM_ACTIONS}``. No other setting is known there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from chalicelib.chalice_cli import capacity, options, priority, refusals
from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings

#: What app.py declares by; a function would have another value than its mapping.
_DECLARED = ("queue_name", "priority_queue", "batch_size", "batch_window", "maximum_concurrency")
#: Settings that policies and templates name, whatever the stage's options are.
_FILLED_IN = ("queue_name", "visibility_timeout", "max_receive_count", "metrics_namespace")
#: Lambda's mark: what is unsafe there is not deployed.
_IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "any"}
_TOKEN = re.compile(r"\$\{([A-Z_]+)\}")
_API_HANDLER = "-api_handler"
_ALARM_ACTIONS = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}


def mend_policies(deployer: Any) -> None:
    """Mend ``chalice.deploy.deployer``, by which both ways of deploying read policies."""
    generator = deployer.PolicyGenerator
    read = generator.handle_filebasediampolicy
    attach = deployer.VPC_ATTACH_POLICY

    def reading(self: Any, config: Any, resource: Any) -> None:
        read(self, config, resource)
        statements = granted(resource.document["Statement"], names(config))
        if config.subnet_ids or options.read(config).aurora:
            statements.append(attach)
        resource.document["Statement"] = statements

    generator.handle_filebasediampolicy = reading


def mend_template(package: Any) -> None:
    """Mend ``chalice.package``, which merges our part of the template into its own."""
    merger = package.TemplateMergePostProcessor
    merge = merger.process

    def merging(self: Any, template: dict[str, Any], config: Any, *rest: Any) -> None:
        merge(self, template, config, *rest)
        known, chosen = names(config), options.read(config)
        folder = Path(config.project_dir) / ".chalice"
        if "HIGH_QUEUE_NAME" in known:
            ours = json.loads((folder / "resources.json").read_text(encoding="utf-8"))
            priority.apply(template, ours, self._merger)
        chosen.apply(template, folder, self._merger, iam="DATABASE_USER_ARN" in known)
        if chosen.aurora:
            told = Settings.from_env(chosen.environ(config.environment_variables))
            capacity.fit(template["Parameters"], *capacity.connections(config, chosen, told))
        whole = filled(template, known)
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


def names(config: Any) -> dict[str, Any]:
    """Return what stands for each token in the stage of this Chalice configuration.

    Ends the process where the stage's settings or options are out of bounds or need packages that
    it does not have, or where the shell's would declare something else than what the functions are
    told.
    """
    chosen = options.read(config)
    _check(config, refusals.of_config(config, chosen))
    try:
        told = Settings.from_env(chosen.environ(config.environment_variables) | _IN_LAMBDA)
        here = Settings.from_env()
    except InvalidSettings as error:
        sys.exit(f"Stage {config.chalice_stage}: {error}")
    for name in _DECLARED:
        if getattr(told, name) != getattr(here, name):
            sys.exit(
                f"{name.upper()} is set in this shell, but not for the stage "
                f"{config.chalice_stage}; unset it, or put it into .chalice/config.json."
            )
    _check(config, refusals.of_settings(config, chosen, told))
    return {
        **{name.upper(): getattr(told, name) for name in _FILLED_IN},
        "STAGE": config.chalice_stage,
        "ALARM_ACTIONS": _ALARM_ACTIONS,
        **({"FILES_ARN": told.files_arn} if told.files_arn else {}),
        **priority.names(told),
        **chosen.names(told),
    }


def _check(config: Any, refusal: str) -> None:
    if refusal:
        sys.exit(f"Stage {config.chalice_stage}: {refusal.removesuffix('.')}.")


def granted(statements: list[Any], known: dict[str, Any]) -> list[Any]:
    """Return the statements, filled in, but for those on what the stage does not have."""
    return [
        filled(one, known)
        for one in statements
        if known.keys() >= set(_TOKEN.findall(json.dumps(one)))
    ]


def _as_text(dashboard: dict[str, Any]) -> None:
    # CloudFormation takes text; as JSON in JSON nobody could read it.
    dashboard["DashboardBody"] = {"Fn::Sub": json.dumps(dashboard["DashboardBody"])}


def filled(part: Any, known: dict[str, Any]) -> Any:
    """Return any part of a document with its tokens filled in; unknown ones stay.

    A token that is a number, or a reference to another resource, has to stand alone.
    """
    if isinstance(part, str):
        if (whole := _TOKEN.fullmatch(part)) and whole[1] in known:
            return known[whole[1]]
        return _TOKEN.sub(lambda token: str(known.get(token[1], token[0])), part)
    if isinstance(part, list):
        return [filled(one, known) for one in part]
    if isinstance(part, dict):
        return {filled(name, known): filled(value, known) for name, value in part.items()}
    return part
