"""How a deployed function is invoked: once, and again only if Lambda said that it was not ready."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from localdev.aws import names
from localdev.aws.invoke import Raised, invoke

NAME = "tasks-prod-admin"
ASKED = {"FunctionName": NAME, "Payload": b'{"action": "list"}'}


@pytest.fixture
def functions() -> Any:
    return boto3.client("lambda", region_name="eu-west-1")


@pytest.fixture
def stub(functions: Any) -> Stubber:
    stub = Stubber(functions)
    stub.activate()
    return stub


def answers(stub: Stubber, told: Any, **more: str) -> None:
    body = json.dumps(told).encode()
    payload = StreamingBody(io.BytesIO(body), len(body))
    stub.add_response("invoke", {"Payload": payload, **more}, ASKED)


def is_in(stub: Stubber, state: str) -> None:
    stub.add_response("get_function_configuration", {"State": state}, {"FunctionName": NAME})


@pytest.mark.parametrize(
    "code", ["ResourceNotReadyException", "ENINotReadyException", "ResourceConflictException"]
)
def test_a_function_that_lost_its_network_is_waited_for_and_asked_again(
    functions: Any, stub: Stubber, code: str
) -> None:
    stub.add_client_error("invoke", code)
    is_in(stub, "Active")
    answers(stub, {"keys": []})
    assert invoke(functions, NAME, {"action": "list"}) == {"keys": []}
    stub.assert_no_pending_responses()


def test_one_that_is_refused_again_is_not_asked_a_third_time(functions: Any, stub: Stubber) -> None:
    stub.add_client_error("invoke", "ResourceNotReadyException")
    is_in(stub, "Active")
    stub.add_client_error("invoke", "ResourceNotReadyException")
    with pytest.raises(ClientError, match="ResourceNotReadyException"):
        invoke(functions, NAME, {"action": "list"})


def test_one_that_does_not_get_ready_is_not_asked_again(functions: Any, stub: Stubber) -> None:
    stub.add_client_error("invoke", "ResourceNotReadyException")
    is_in(stub, "Failed")
    with pytest.raises(WaiterError, match="Failed"):
        invoke(functions, NAME, {"action": "list"})


def test_what_may_have_run_is_not_asked_again(functions: Any, stub: Stubber) -> None:
    stub.add_client_error("invoke", "ServiceException")
    with pytest.raises(ClientError, match="ServiceException"):
        invoke(functions, NAME, {"action": "list"})
    stub.assert_no_pending_responses()


def test_what_a_function_raises_is_no_answer(functions: Any, stub: Stubber) -> None:
    told = {"errorType": "KeyNotFound", "errorMessage": "There is no key with this id."}
    answers(stub, told, FunctionError="Unhandled")
    assert invoke(functions, NAME, {"action": "list"}) == Raised(*told.values())


def test_the_function_that_answers_requests_is_named_as_the_stage_is() -> None:
    assert names.function("prod", names.API) == names.stem("prod") == "tasks-prod"
    assert names.function("prod", "worker") == "tasks-prod-worker"
