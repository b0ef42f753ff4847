"""The functions, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings
from localdev.doctor.declared import environ_of
from localdev.doctor.finding import Check, NotKnownError, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts
    from localdev.doctor.finding import Note

#: With it, the settings refuse what is not safe in Lambda.
IN_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
#: What each function may be told by itself.
_OWN = {"database_connections", "database_patience", "log_level", "tracing"}


def _functions(facts: Facts) -> Iterator[Note]:
    declared, found = known(facts.declared), known(facts.functions)
    there = {short: one for short, one in found.items() if one}
    for short, name in declared.functions.items():
        if short not in there:
            yield wrong(f"there is no function {name}", declared.repair())
        elif (state := _trouble(there[short])) is not None:
            yield wrong(f"{name} is {state}", f"{declared.repair()}; the reason is in the console")
    if len({one["CodeSha256"] for one in there.values()}) > 1:
        yield warning(
            "not all functions have the same code: a deployment did not end", declared.repair()
        )
    yield fine(f"{len(there)} functions are there")


def _trouble(function: dict[str, Any]) -> str | None:
    state, update = function.get("State", "Active"), function.get("LastUpdateStatus", "Successful")
    if state not in ("Active", "Inactive"):  # an idle one is made active by its next invocation
        return f"{state} ({function.get('StateReason', 'no reason is told')})"
    if update == "Failed":
        return f"not updated ({function.get('LastUpdateStatusReason', 'no reason is told')})"
    return None


def _settings(facts: Facts) -> Iterator[Note]:
    declared = known(facts.declared)
    cure = (
        f"set it in chalice_app/.chalice/config.json (docs/settings.md), then {declared.repair()}"
    )
    told: dict[str, Settings] = {}
    for short, name in declared.functions.items():
        environ = environ_of(_function(facts, short), declared.region)
        try:
            told[short] = Settings.from_env(environ | {IN_LAMBDA: name})
        except InvalidSettings as error:
            lines = str(error).splitlines()[1:]
            yield wrong(f"{name} does not start: {'; '.join(lines)}", cure)
    for field in Settings.model_fields.keys() - _OWN:
        values = {str(getattr(settings, field)) for settings in told.values()}
        if len(values) > 1:
            yield wrong(f"the functions are told {field.upper()} in different ways", cure)
    yield fine("AUTH=keys, and a database that shows its certificate")


def _timeout(facts: Facts) -> Iterator[Note]:
    declared, settings = known(facts.declared), known(facts.settings)
    name = declared.functions["worker"]
    limit = int(_function(facts, "worker")["Timeout"])
    if limit == settings.worker_timeout:
        yield fine(f"{limit} s")
    else:
        yield wrong(
            f"{name} is ended after {limit} s; WORKER_TIMEOUT is {settings.worker_timeout}",
            f"aws lambda update-function-configuration --region {declared.region} --function-name "
            f"{name} --timeout {settings.worker_timeout}, or set WORKER_TIMEOUT and the worker's "
            "lambda_timeout to the same in .chalice/config.json",
        )


def _recursion(facts: Facts) -> Iterator[Note]:
    if known(facts.recursion) == "Allow":
        declared = known(facts.declared)
        yield warning(
            "the worker may be invoked in a loop without end",
            f"aws lambda put-function-recursion-config --region {declared.region} --function-name "
            f"{declared.functions['worker']} --recursive-loop Terminate",
        )
    else:
        yield fine("Lambda ends a loop")


def _function(facts: Facts, short: str) -> dict[str, Any]:
    found = known(facts.functions).get(short)
    if found is None:
        raise NotKnownError(f"there is no function {known(facts.declared).functions[short]}")
    return found


CHECKS = (
    Check(
        "functions",
        "every function is there, can be invoked, and has the same code",
        "A function that is missing does not do its part; one with other code may ask for another "
        "schema.",
        _functions,
    ),
    Check(
        "settings",
        "every function is told the same, and nothing that is unsafe in Lambda",
        "With AUTH=off everybody is let in, without DATABASE_TLS any server may pose as the "
        "database, and a password in DATABASE_URL is seen by whoever sees the function; the app "
        "refuses to start. Functions that differ take each other's queue or leases for wrong.",
        _settings,
    ),
    Check(
        "worker-timeout",
        "the worker's time limit is the one that it reckons with",
        "Leases, the interruption of a handler and the queue's visibility timeout are all made "
        "from WORKER_TIMEOUT: a worker that is ended earlier leaves crashed attempts, one that "
        "may go on longer loses its lease.",
        _timeout,
    ),
    Check(
        "recursion",
        "Lambda's recursive loop detection is on",
        "The service never sends to its own queue in a chain: API and sweeper send, the worker "
        "does not, and a message that is received again is no new one. So a chain of 16 "
        "invocations (Lambda Developer Guide, Use Lambda recursive loop detection) is a handler's "
        "mistake, and Lambda should end it.",
        _recursion,
    ),
)
