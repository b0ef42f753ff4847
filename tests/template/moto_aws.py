"""An AWS of moto's on 127.0.0.1 that takes SAM templates and Chalice's swagger; prints its port.

Runs in the environment of requirements-template.txt. moto itself knows neither the SAM transform
nor swagger 2.0; of a stack's API it makes no more than the name and the kind of endpoint.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from moto.apigateway.models import APIGatewayBackend
from moto.cloudformation import models
from moto.core.config import default_user_config
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.template.translate import translate

#: What moto's CloudFormation cannot make.
LACKING = ("AWS::ApiGateway::", "AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig")


class QuietHandler(MotoRequestHandler):
    """Logs no requests."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


def template_of(text: str) -> dict[str, Any]:
    """Read a template as CloudFormation would, SAM's transform included."""
    template = json.loads(text)
    if "Transform" in template:
        template = translate(template)
    kept = {
        name: one
        for name, one in template["Resources"].items()
        if not one["Type"].startswith(LACKING)
    }
    api = template["Resources"]["RestAPI"]["Properties"]
    # moto hands it on as it came, and the API's answer is spelled in another way.
    endpoint = {"types": api["EndpointConfiguration"]["Types"]}
    named = {"Name": api["Name"], "EndpointConfiguration": endpoint}
    kept["RestAPI"] = {"Type": "AWS::ApiGateway::RestApi", "Properties": named}
    return {**template, "Resources": kept}


def _parse(self: Any) -> None:
    self.template_dict = template_of(self.template)


def _has(self: Any, parameters: dict[str, Any]) -> bool:
    # moto compares what was said, and a default that is said again is no change.
    had = self.stack_parameters
    return all(had.get(name) == value for name, value in parameters.items())


def _openapi(document: dict[str, Any]) -> dict[str, Any]:
    document.pop("swagger", None)
    document["openapi"] = "3.0.1"
    document["info"].setdefault("description", "")
    return document


def mend() -> None:
    """Teach moto what is missing."""
    cloudformation: Any = models
    stack, backend = cloudformation.Stack, cloudformation.CloudFormationBackend
    stack._parse_template = cloudformation.ChangeSet._parse_template = _parse
    stack.parse_template = staticmethod(template_of)
    stack.has_parameters = _has
    execute = backend.execute_change_set

    def executing(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
        execute(self, change_set_name, stack_name)
        made = self.get_stack(self.describe_change_set(change_set_name).stack.stack_id)
        made._parse_template()
        made.output_map = made._create_output_map()

    backend.execute_change_set = executing
    _mend_gateway(APIGatewayBackend)
    _mend_policies(IAMPolicyStatement)
    default_user_config["lambda"] = {"use_docker": False}  # an invocation answers with its payload


def _mend_policies(statement: Any) -> None:
    # moto passes over conditions; the one that is used here refuses what comes without TLS.
    permitted = statement.is_action_permitted

    def conditional(self: Any, *asked: Any) -> Any:
        if "Condition" in self._statement:
            return PermissionResult.NEUTRAL
        return permitted(self, *asked)

    statement.is_action_permitted = conditional


def _mend_gateway(gateway: Any) -> None:
    load, put = gateway.import_rest_api, gateway.put_rest_api

    def importing(self: Any, api_doc: dict[str, Any], *rest: Any) -> Any:
        return load(self, _openapi(api_doc), *rest)

    def putting(self: Any, api: str, api_doc: dict[str, Any], *rest: Any, **named: Any) -> Any:
        return put(self, api, _openapi(api_doc), *rest, **named)

    gateway.import_rest_api, gateway.put_rest_api = importing, putting


def main() -> None:
    """Serve until killed."""
    mend()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
