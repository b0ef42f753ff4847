"""Gathers the facts of the running local stack."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ServiceError
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from localdev.doctor.asking import attributes
from localdev.doctor.facts import Facts
from localdev.door import readiness
from localdev.seed import make_client

if TYPE_CHECKING:
    from localdev.doctor.asking import Progress
    from localdev.state import Running


def gather(running: Running, progress: Progress) -> Facts:
    """Ask the stack's parts, in this process, for what the function admin would tell."""
    settings = Settings.from_env(running.environ)
    progress.step("the database")
    diagnosis = _diagnosis(settings)
    progress.step("SQS")
    endpoint = running.environ["AWS_ENDPOINT_URL_SQS"]
    timeouts = {"connect_timeout": 2, "read_timeout": 5, "retries": {"total_max_attempts": 1}}
    client = make_client(endpoint, settings.aws_region, **timeouts)
    high = settings.high_queue_name
    progress.step("the API")
    return Facts(
        place=f"the local stack at {running.url}",
        settings=settings,
        queue=attributes(client, settings.queue_name),
        dead_letter_queue=attributes(client, settings.dead_letter_queue_name),
        high_queue=attributes(client, high) if high else None,
        diagnosis=diagnosis,
        ready=readiness(f"{running.url}/", here=True),
    )


def _diagnosis(settings: Settings) -> dict[str, Any]:
    runtime = Runtime(settings)
    with contextlib.closing(runtime.database):
        try:
            return runtime.admin.handle({"action": "diagnose"})
        except ServiceError as error:
            return {"error": f"{type(error).__name__}: {error}"}
