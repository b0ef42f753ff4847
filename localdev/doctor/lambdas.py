"""Asks Lambda for the functions of a stage, the mapping, and what the function admin sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.chalice_cli import HIGH_WORKER
from localdev.aws.invoke import Raised, invoke
from localdev.aws.names import API
from localdev.doctor.asking import ask, ask_for, client
from localdev.doctor.finding import Unknown
from localdev.errors import StackError

if TYPE_CHECKING:
    from localdev.doctor.declared import Declared

_QUESTION = {"action": "diagnose"}


class Functions:
    """The functions of one stage."""

    def __init__(self, declared: Declared) -> None:
        """Take the stage; nothing is asked yet."""
        self._declared = declared
        self._api = client("lambda", declared.region)

    def configurations(self) -> dict[str, dict[str, Any] | None] | Unknown:
        """Return each function's configuration, None where there is no such function.

        Raises StackError if there is none of them: then there is no stage.
        """
        found: dict[str, dict[str, Any] | None] = {}
        for short in self._declared.functions:
            one = self._configuration(short)
            if isinstance(one, Unknown):
                return one
            found[short] = one
        if not any(found.values()):
            raise StackError(
                f"stage {self._declared.stage} is not deployed in {self._declared.region}; "
                f"deploy it: {self._declared.deploy()}, or name another --region"
            )
        return found

    def _configuration(self, short: str) -> dict[str, Any] | Unknown | None:
        alias = self._declared.qualifier(short)
        asked = self._named(short) | ({"Qualifier": alias} if alias else {})
        return ask_for(
            "lambda:GetFunctionConfiguration",
            lambda: dict(self._api.get_function_configuration(**asked)),
        )

    def limits(self) -> dict[str, Any]:
        """Return what is known of mappings, concurrency and loops."""
        return {
            "mappings": self.mappings(),
            "reserved": self.reserved(),
            "unreserved": self.unreserved(),
            "recursion": self.recursion(),
        }

    def mappings(self) -> list[dict[str, Any]] | Unknown:
        """Return the mappings that feed the worker, or both of them."""
        known = self._declared.functions
        workers = [known[short] for short in ("worker", HIGH_WORKER) if short in known]
        alias = self._declared.qualifier("worker")
        pages = self._api.get_paginator("list_event_source_mappings")
        return ask(
            "lambda:ListEventSourceMappings",
            lambda: [
                dict(one)
                for name in workers
                for function in ([name, f"{name}:{alias}"] if alias else [name])
                for page in pages.paginate(FunctionName=function)
                for one in page["EventSourceMappings"]
            ],
        )

    def reserved(self) -> dict[str, int | None] | Unknown:
        """Return what is reserved for the functions that are invoked all the time."""
        return ask(
            "lambda:GetFunctionConcurrency",
            lambda: {
                short: self._api.get_function_concurrency(**self._named(short)).get(
                    "ReservedConcurrentExecutions"
                )
                for short in (API, "worker", HIGH_WORKER, "sweeper")
                if short in self._declared.functions
            },
        )

    def unreserved(self) -> int | Unknown:
        """Return how many invocations at once nobody has reserved."""
        return ask(
            "lambda:GetAccountSettings",
            lambda: int(
                self._api.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
            ),
        )

    def recursion(self) -> str | Unknown:
        """Return what Lambda does about a loop of the worker."""
        return ask(
            "lambda:GetFunctionRecursionConfig",
            lambda: str(
                self._api.get_function_recursion_config(**self._named("worker"))["RecursiveLoop"]
            ),
        )

    def diagnosis(self) -> dict[str, Any] | Unknown:
        """Return what the function admin says, or ``{"error"}`` if it fails."""
        answer = ask(
            "lambda:InvokeFunction",
            lambda: invoke(self._api, self._declared.functions["admin"], _QUESTION),
        )
        if not isinstance(answer, Raised):
            return answer
        if answer.kind == "InvalidRequest":
            return Unknown("the deployed code is older than this, and does not know the question")
        return {"error": str(answer)}

    def _named(self, short: str) -> dict[str, str]:
        return {"FunctionName": self._declared.functions[short]}
