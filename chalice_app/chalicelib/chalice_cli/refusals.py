"""Why a stage is not packaged: what else would be noticed in Lambda only, or by nobody."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli import capacity
from chalicelib.chalice_cli.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.settings import Settings

#: Set in the environment of the command that packages for this machine, where functions are told
#: of their database as they are started.
FOR_A_LAPTOP = "PACKAGED_FOR_A_LAPTOP"

# Source: Chalice, "Configuration File".
_OF_CHALICE = """
    api_gateway_custom_domain api_gateway_endpoint_type api_gateway_endpoint_vpce
    api_gateway_policy_file api_gateway_stage autogen_policy automatic_layer environment_variables
    iam_policy_file iam_role_arn lambda_architecture lambda_functions lambda_memory_size
    lambda_timeout layers log_retention_in_days manage_iam_role minimum_compression_size
    reserved_concurrency security_group_ids subnet_ids tags websocket_api_custom_domain xray
"""
KNOWN = frozenset({*_OF_CHALICE.split(), *Options.model_fields})
# Source: AWS Lambda Developer Guide, "Working with Lambda environment variables".
_OF_LAMBDA = """
    _HANDLER _X_AMZN_TRACE_ID AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION
    AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME
    AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME
    AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY
    AWS_SESSION_TOKEN LAMBDA_RUNTIME_DIR LAMBDA_TASK_ROOT
"""
RESERVED = frozenset(_OF_LAMBDA.split())
#: What Chalice gives a function that config.json gives no limit.
_TIMEOUT = 60
_ABOVE_STAGES = ("version", "app_name", "stages")
_OTEL = "-r requirements-otel.txt"


def of_config(config: Any, chosen: Options) -> str:
    """Return what is wrong with what stands in config.json for the stage, or nothing."""
    for level in _levels(config):
        for name in level:
            if name not in KNOWN:
                close = difflib.get_close_matches(name.lower(), KNOWN, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                return f"there is no option {name}{hint}"
        if reserved := sorted(RESERVED & level.get("environment_variables", {}).keys()):
            return f"Lambda sets {', '.join(reserved)} itself and takes no other; leave it out"
    told = config.environment_variables
    if chosen.aurora or FOR_A_LAPTOP in os.environ:
        return ""
    if not {"DATABASE_SECRET_ARN", "DATABASE_URL"} & told.keys():
        return (
            "it has no database; in .chalice/config.json set DATABASE_SECRET_ARN under its "
            'environment_variables, or "database": "aurora" (docs/deploy.md)'
        )
    return ""


def of_settings(config: Any, chosen: Options, told: Settings) -> str:
    """Return why the stage cannot work with these settings, or nothing."""
    limit = config.scope(config.chalice_stage, "worker").lambda_timeout or _TIMEOUT
    if limit != told.worker_timeout:
        return (
            f"WORKER_TIMEOUT is {told.worker_timeout}, and the worker's lambda_timeout {limit}; "
            "leases and the queue reckon with the one, Lambda ends the worker by the other"
        )
    if told.tracing == "otel" and not _requires(config.project_dir, _OTEL):
        return (
            "TRACING=otel needs packages that are not packaged; add the line "
            f"{_OTEL} to requirements.txt"
        )
    if told.files.startswith("/"):
        return "FILES is a folder, which no two workers share; set s3://bucket/prefix"
    if told.files and chosen.aurora:
        return "FILES cannot be reached with database aurora, whose network has no way to S3"
    needed, _ = capacity.connections(config, chosen, told)
    if chosen.aurora and capacity.least(needed) is None:
        return f"it may open {needed} connections, and Aurora takes {capacity.MOST} at most"
    return chosen.refusal(config, told)


def _levels(config: Any) -> Iterator[dict[str, Any]]:
    disk = config.config_from_disk
    yield {name: value for name, value in disk.items() if name not in _ABOVE_STAGES}
    stage = disk.get("stages", {}).get(config.chalice_stage, {})
    yield stage
    yield from stage.get("lambda_functions", {}).values()


def _requires(project_dir: str, line: str) -> bool:
    path = Path(project_dir) / "requirements.txt"
    return line in path.read_text(encoding="utf-8").splitlines()
