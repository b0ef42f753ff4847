"""What may be reached, and by whom: roles, the secret, the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localdev.doctor.finding import Check, Grade, Note, Unknown, fine, known, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localdev.doctor.facts import Facts


def _permissions(facts: Facts) -> Iterator[Note]:
    declared, judged = known(facts.declared), known(facts.refused)
    for short, refused in judged.items():
        name = declared.functions[short]
        if isinstance(refused, Unknown):
            yield Note(Grade.NOT_CHECKED, f"{name}: {refused.reason}")
        elif refused:
            yield wrong(
                f"{name} may not {', '.join(refused)}",
                f"its policy is chalice_app/.chalice/policy-*.json; {declared.repair()}",
            )
    well = sum(refused == [] for refused in judged.values())
    yield fine(f"{well} roles allow what their functions do")


def _secret(facts: Facts) -> Iterator[Note]:
    arn = known(facts.settings).database_secret_arn
    if not arn:
        yield fine("the settings name none")
        return
    secret = known(facts.secret)
    if secret is None:
        yield wrong(
            f"there is no secret {arn}",
            "make it (docs/deploy.md, 1), or correct DATABASE_SECRET_ARN in .chalice/config.json",
        )
    elif secret.get("DeletedDate"):
        yield wrong(
            "the secret is going to be deleted",
            f"aws secretsmanager restore-secret --secret-id {arn}",
        )
    else:
        yield fine(f"{secret.get('Name', arn)} is there")


def _endpoint(facts: Facts) -> Iterator[Note]:
    declared, types = known(facts.declared), known(facts.endpoint_types)
    if types == [declared.endpoint_type]:
        yield fine(declared.endpoint_type)
    else:
        yield warning(
            f"the API's endpoint is {', '.join(types)}, not {declared.endpoint_type}",
            f"{declared.repair()} (by Chalice alone: api_gateway_endpoint_type)",
        )


def _ready(facts: Facts) -> Iterator[Note]:
    said = known(facts.ready)
    if not said:
        yield fine("200")
    elif facts.here:
        yield wrong(f"GET /readyz: {said}", "see what scripts/dev.sh says, or start it again")
    else:
        yield wrong(
            f"GET /readyz: {said}",
            "see the checks database and schema, then the log of the API's function",
        )


CHECKS = (
    Check(
        "permissions",
        "each function's role allows what the function does",
        "What is refused fails in the midst of work: a task is not sent, a letter not written, the "
        "database's password not read.",
        _permissions,
    ),
    Check(
        "secret",
        "the database's secret is there",
        "Without it no new process reaches the database; those that run go on until their "
        "connection breaks.",
        _secret,
    ),
    Check(
        "api-endpoint",
        "the API's endpoint is regional",
        "An edge-optimised endpoint takes every request through CloudFront, and the client's "
        "address in the logs is CloudFront's.",
        _endpoint,
    ),
    Check(
        "ready",
        "the API says that it is ready",
        "GET /readyz is what clients meet: if it does not answer 200, no task is taken.",
        _ready,
        here=True,
    ),
)
