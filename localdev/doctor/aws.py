"""Gathers the facts of a deployed stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings
from localdev.doctor.declared import environ_of
from localdev.doctor.facts import Facts
from localdev.doctor.finding import Unknown, after
from localdev.doctor.lambdas import Functions
from localdev.doctor.rights import Account
from localdev.doctor.roles import Roles
from localdev.doctor.surroundings import Surroundings

if TYPE_CHECKING:
    from localdev.aws.account import Aws
    from localdev.doctor.asking import Progress
    from localdev.doctor.declared import Declared

    Configurations = dict[str, dict[str, Any] | None]


def gather(account: Aws, declared: Declared, progress: Progress) -> Facts:
    """Ask AWS for everything, with the operator's own credentials.

    What AWS does not tell becomes Unknown. Raises StackError if there is no such stage.
    """
    functions, around = Functions(declared), Surroundings(account, declared)
    progress.step("Lambda for the functions")
    found = functions.configurations()
    settings = after(found, lambda there: _settings(there, declared.region))
    progress.step("the function admin for the database")
    diagnosis = functions.diagnosis()
    progress.step("the API")
    endpoint_types, ready = around.api()
    progress.step("IAM for the roles")
    refused = after(found, lambda there: _refused(account, declared, there))
    progress.step("SQS, CloudWatch and EventBridge")
    return Facts(
        place=f"stage {declared.stage} in {declared.region}, account {account.account}",
        declared=declared,
        settings=settings,
        functions=found,
        rules=after(found, lambda there: _rules(around, there)),
        refused=refused,
        diagnosis=diagnosis,
        ready=ready,
        endpoint_types=endpoint_types,
        **_of_the_settings(around, settings),
        **functions.limits(),
        **around.watch(),
    )


def _of_the_settings(around: Surroundings, settings: Settings | Unknown) -> dict[str, Any]:
    return {
        "queue": after(settings, lambda told: around.attributes(told.queue_name)),
        "dead_letter_queue": after(
            settings, lambda told: around.attributes(told.dead_letter_queue_name)
        ),
        "high_queue": after(
            settings,
            lambda told: around.attributes(told.high_queue_name) if told.high_queue_name else None,
        ),
        "secret": after(settings, lambda told: around.secret(told.database_secret_arn)),
    }


def _settings(functions: Configurations, region: str) -> Settings | Unknown:
    worker = functions.get("worker")
    if worker is None:
        return Unknown("there is no worker, whose settings are the ones that count")
    try:
        return Settings.from_env(environ_of(worker, region))
    except InvalidSettings as error:
        return Unknown(str(error).replace("\n", " "))


def _rules(around: Surroundings, functions: Configurations) -> dict[str, str] | Unknown:
    sweeper = functions.get("sweeper")
    return {} if sweeper is None else around.rules(sweeper["FunctionArn"])


def _refused(
    account: Aws, declared: Declared, functions: Configurations
) -> dict[str, list[str] | Unknown]:
    def refused(short: str, function: dict[str, Any]) -> list[str] | Unknown:
        partition = function["FunctionArn"].split(":")[1]
        roles = Roles(Account(partition, declared.region, account.account))
        in_vpc = bool(function.get("VpcConfig", {}).get("SubnetIds"))
        settings = _settings({"worker": function}, declared.region)
        return after(
            settings,
            lambda told: roles.refused(
                function["Role"], declared.rights(short, told, in_vpc=in_vpc)
            ),
        )

    return {short: refused(short, one) for short, one in functions.items() if one}
