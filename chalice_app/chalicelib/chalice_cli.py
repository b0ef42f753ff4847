"""Mends what Chalice's command line lacks; app.py calls it, and in Lambda it does nothing.

Partial batches: Chalice 1.34 has no way to ask for ReportBatchItemFailures, and without it Lambda
takes a list of failed messages for success and deletes them. Both ways of deploying are mended.
Speed: its development server answers a kept-alive connection only after 44 ms.
"""

from __future__ import annotations

import sys
from typing import Any

REPORT = ["ReportBatchItemFailures"]


def mend() -> None:
    """Mend the parts of Chalice's command line that this process has loaded."""
    for module, mender in _MENDERS.items():
        loaded = sys.modules.get(module)
        if loaded is not None and not hasattr(loaded, "_mended_by_tasks"):
            mender(loaded)
            loaded._mended_by_tasks = True  # type: ignore[attr-defined]  # noqa: SLF001


def _mend_local_server(local: Any) -> None:
    local.ChaliceRequestHandler.disable_nagle_algorithm = True
    local.ChaliceRequestHandler.wbufsize = -1
    local.ThreadedHTTPServer.request_queue_size = 1024


def _mend_deploy(awsclient: Any) -> None:
    client = awsclient.TypedAWSClient
    call = client._call_client_method_with_retries  # noqa: SLF001

    def reporting(self: Any, method: Any, kwargs: dict[str, Any], *args: Any, **rest: Any) -> Any:
        if method.__name__ in ("create_event_source_mapping", "update_event_source_mapping"):
            kwargs = {**kwargs, "FunctionResponseTypes": REPORT}
        return call(self, method, kwargs, *args, **rest)

    client._call_client_method_with_retries = reporting  # noqa: SLF001


def _mend_package(package: Any) -> None:
    generator = package.SAMTemplateGenerator
    generate = generator._generate_sqseventsource  # noqa: SLF001

    def reporting(self: Any, resource: Any, template: dict[str, Any]) -> None:
        generate(self, resource, template)
        name = package.to_cfn_resource_name(resource.lambda_function.resource_name)
        for event in template["Resources"][name]["Properties"]["Events"].values():
            if event["Type"] == "SQS":
                event["Properties"]["FunctionResponseTypes"] = REPORT

    generator._generate_sqseventsource = reporting  # noqa: SLF001


_MENDERS = {
    "chalice.local": _mend_local_server,
    "chalice.awsclient": _mend_deploy,
    "chalice.package": _mend_package,
}
