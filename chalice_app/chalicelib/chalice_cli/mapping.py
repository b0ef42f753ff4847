"""Partial batches: Chalice 1.34 has no way to ask for ReportBatchItemFailures.

Without it Lambda takes a list of failed messages for success and deletes them. Both ways of
deploying are mended.
"""

from __future__ import annotations

from typing import Any

REPORT = ["ReportBatchItemFailures"]


def mend_deploy(awsclient: Any) -> None:
    """Mend ``chalice.awsclient``, which ``chalice deploy`` uses."""
    client = awsclient.TypedAWSClient
    call = client._call_client_method_with_retries  # noqa: SLF001

    def reporting(self: Any, method: Any, kwargs: dict[str, Any], *args: Any, **rest: Any) -> Any:
        if method.__name__ in ("create_event_source_mapping", "update_event_source_mapping"):
            kwargs = {**kwargs, "FunctionResponseTypes": REPORT}
        return call(self, method, kwargs, *args, **rest)

    client._call_client_method_with_retries = reporting  # noqa: SLF001


def mend_package(package: Any) -> None:
    """Mend ``chalice.package``, which ``chalice package`` uses."""
    generator = package.SAMTemplateGenerator
    generate = generator._generate_sqseventsource  # noqa: SLF001
    named = package.to_cfn_resource_name

    def reporting(self: Any, resource: Any, template: dict[str, Any]) -> None:
        generate(self, resource, template)
        name = named(resource.lambda_function.resource_name)
        for event in template["Resources"][name]["Properties"]["Events"].values():
            if event["Type"] == "SQS":
                event["Properties"]["FunctionResponseTypes"] = REPORT

    generator._generate_sqseventsource = reporting  # noqa: SLF001
