"""Makes, lists and ends keys, and tells webhooks' secrets: of the running stack, or of a stage."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.errors import InvalidRequest, KeyNotFound, ServiceError, StoreUnavailable
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from localdev import state
from localdev.aws import names
from localdev.errors import StackError
from localdev.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localdev.aws.invoke import Raised

#: Seconds to wait for a database, and for the function of a stage.
PATIENCE, STAGE_PATIENCE = 10, 30
_EPILOG = """\
The key alone goes to standard output, what is said about it to standard error:
  KEY=$(scripts/keys.sh create --tenant acme --name billing)
"""


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev keys``. Raises StackError saying what is wrong."""
    options = _parser().parse_args(arguments)
    event = _event(options)
    if options.stage:
        answer = ask_stage(options.stage, options.region, event)
    else:
        folder = options.data.resolve() if options.data else ROOT / state.DEFAULT_FOLDER
        environ = state.read(folder).environ
        roots = environ.get("WEBHOOK_SECRETS", "")
        answer = ask_database(environ["DATABASE_URL"], event, webhook_secrets=roots)
    print(json.dumps(answer, indent=2)) if options.json else _tell(options.action, answer)
    return 0


def key_for_a_day(database_url: str) -> str:
    """Make a key for whoever started the stack and return its text, which is kept nowhere.

    It stands for the tenant of a stack without keys. Raises StackError.
    """
    asked = {"action": "create", "tenant": "default", "name": "dev.sh", "lifetime_days": 1}
    scopes = ["tasks:read", "tasks:write", "admin"]
    return str(ask_database(database_url, asked | {"scopes": scopes})["text"])


def ask_database(url: str, event: dict[str, Any], **settings: str) -> dict[str, Any]:
    """Do what ``event`` asks on this database and return the answer. Raises StackError."""
    runtime = Runtime(Settings(database_url=url, database_patience=PATIENCE, **settings))
    with contextlib.closing(runtime.database):
        try:
            return runtime.admin.handle(event)
        except ServiceError as error:
            raise StackError(str(error)) from None


def ask_stage(stage: str, region: str | None, event: dict[str, Any]) -> dict[str, Any]:
    """Have the stage's function ``admin`` do it and return its answer. Raises StackError."""
    # In the function: it takes 0.3 s to import, and the running stack needs none of it.
    from botocore.exceptions import ReadTimeoutError  # noqa: PLC0415

    from localdev.aws.account import functions, refusals  # noqa: PLC0415
    from localdev.aws.invoke import Raised, invoke  # noqa: PLC0415

    function = names.function(stage, "admin")
    with refusals(f"invoke {function}"):
        client = functions(region, STAGE_PATIENCE)
        try:
            answer = invoke(client, function, event)
        except client.exceptions.ResourceNotFoundException:
            raise StackError(
                f"there is no function {function}; deploy the stage, or name its --region"
            ) from None
        except ReadTimeoutError:
            raise StackError(f"{function} did not answer; look with list what it did") from None
    if isinstance(answer, Raised):
        raise StackError(_failed(function, answer))
    return answer


def _failed(function: str, told: Raised) -> str:
    if told.kind in {one.__name__ for one in (InvalidRequest, KeyNotFound, StoreUnavailable)}:
        return told.message
    return f"{function} failed; its log says more: {told}"


def _event(options: argparse.Namespace) -> dict[str, Any]:
    match options.action:
        case "create":
            event = {"tenant": options.tenant, "name": options.name, "lifetime_days": options.days}
            event["scopes"] = [scope.strip() for scope in options.scopes.split(",")]
        case "list" | "webhook_secrets":
            event = {"tenant": options.tenant}
        case _:
            event = {"id": options.id}
    return {"action": options.action, **event}


def _tell(action: str, answer: dict[str, Any]) -> None:
    if action == "webhook_secrets":
        print("\n".join(answer["secrets"]))
        return
    if action == "list":
        for key in answer["keys"]:
            print(_line(key))
        if not answer["keys"]:
            print("there are no keys", file=sys.stderr)
        return
    print(_line(answer["key"]), file=sys.stdout if action == "revoke" else sys.stderr)
    if action == "create":
        print("The key is shown this once and not kept:", file=sys.stderr, flush=True)
        print(answer["text"])


def _line(key: dict[str, Any]) -> str:
    until = f" until {key['expires_at']}" if key["state"] == "live" and key["expires_at"] else ""
    scopes = ",".join(key["scopes"])
    return f"{key['id']}  {key['tenant']}  {scopes}  {key['state']}{until}  {key['name']}"


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--stage", help="a deployed stage; without it, the running stack")
    where.add_argument("--region", help="of the stage; default as boto3 finds it")
    kept = f"where the stack keeps its state; default {state.DEFAULT_FOLDER}"
    where.add_argument("--data", type=Path, help=kept)
    where.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    parser = argparse.ArgumentParser(prog="python -m localdev keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    raw = argparse.RawDescriptionHelpFormatter
    create = actions.add_parser(
        "create", parents=[where], help="make a key", epilog=_EPILOG, formatter_class=raw
    )
    create.add_argument("--tenant", required=True, help="whose tasks it opens: a-z 0-9 _ -")
    create.add_argument("--name", required=True, help="tells it from others, for people")
    create.add_argument(
        "--scopes", default="tasks:read,tasks:write", help="default tasks:read,tasks:write; admin"
    )
    create.add_argument("--days", type=float, help="how long it counts; default for ever")
    listing = actions.add_parser("list", parents=[where], help="list keys, never their secrets")
    listing.add_argument("--tenant", help="of this tenant only")
    revoke = actions.add_parser("revoke", parents=[where], help="end a key at once")
    revoke.add_argument("id", help="the characters between tk_ and the next _")
    told = "tell what a tenant's receivers check webhooks by: two secrets while they change"
    secrets = actions.add_parser("webhook_secrets", parents=[where], help=told)
    secrets.add_argument("--tenant", required=True, help="whose webhooks are checked")
    return parser
