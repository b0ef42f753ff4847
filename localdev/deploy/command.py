"""The command line of a deployment, and its order."""

# ruff: noqa: T201  (what a command prints is its answer)

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localdev.aws import account as accounts
from localdev.aws import names
from localdev.deploy import package
from localdev.deploy.bucket import Bucket
from localdev.deploy.functions import Migrator
from localdev.deploy.stack import Stack
from localdev.door import readiness
from localdev.errors import StackError
from localdev.processes import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY_WITHIN = 60.0  # seconds
_EPILOG = """\
What would change is found out first, then the schema is migrated by the new code (old code works on
it meanwhile), then the stack changes. Run it again after whatever went wrong: what is done already
is not done twice.
"""


def main(arguments: Sequence[str]) -> int:
    """Run ``python -m localdev deploy``. Raises StackError saying what is wrong."""
    options = _parser().parse_args(arguments)
    parameters = dict(_pair(text) for text in options.parameter)
    package.check_stage(APP, options.stage)
    account = accounts.connect(options.region)
    _say(f"deploying stage {options.stage} to account {account.account}, {account.region}")
    with tempfile.TemporaryDirectory() as name:
        made = package.make(APP, options.stage, Path(name), os.environ, account.region)
        _say(f"packaged {made.zip.stat().st_size:,} bytes, sha256 {made.digest[:12]}")
        url = deploy(account, options, made, parameters)
    if options.wait:
        wait_until_ready(url)
        _say("ready: the database answers and its schema is new enough")
    print(url)
    return 0


def deploy(
    account: accounts.Aws,
    options: argparse.Namespace,
    made: package.Package,
    parameters: dict[str, str],
) -> str:
    """Upload the package, migrate, change the stack, and return the API's URL."""
    bucket = Bucket(account, options.bucket)
    if bucket.ensure():
        _say(f"made the bucket {bucket.name}")
    key, template = _upload(bucket, options.stage, made)
    stack, migrator = Stack(account, names.stem(options.stage)), Migrator(account, options.stage)
    change = stack.prepare(
        bucket.url(template),
        parameters,
        may_release=options.release_database,
        repair=options.repair,
    )
    if options.migrate and not change.new:
        with change.dropped_on_failure():
            if _can_migrate_first(stack, migrator, made, repair=options.repair):
                migrator.renew(made.template, bucket.name, key)
                _tell_migration(migrator.migrate())
    changed = stack.carry_out(change)
    _say(f"the stack {stack.name} is {'changed' if changed else 'up to date'}")
    if options.migrate:
        _tell_migration(migrator.migrate())
    return stack.outputs()["EndpointURL"]


def _upload(bucket: Bucket, stage: str, made: package.Package) -> tuple[str, str]:
    # Return the keys of the zip and of the template that names it.
    key = f"{stage}/{made.digest}.zip"
    uri = bucket.keep(key, made.zip.read_bytes())
    template = made.template_with(uri).encode()
    name = f"{stage}/{hashlib.sha256(template).hexdigest()}.json"
    bucket.keep(name, template)
    _say(f"uploaded {uri}")
    return key, name


def _can_migrate_first(
    stack: Stack, migrator: Migrator, made: package.Package, *, repair: bool
) -> bool:
    # Old code works on a newer schema, new code does not work on an older one; so first, if it can.
    if not migrator.exists():
        if not repair:
            raise StackError(
                f"the stack {stack.name} has lost {migrator.name}; say --repair, and it is made "
                "again, with whatever else was deleted or changed by hand"
            )
        _say(f"{migrator.name} is made again first; then the schema is migrated")
        return False
    if migrator.moves(stack.template(), made.template):
        _say("the database is reached in another way from now on; it is migrated after the stack")
        return False
    return True


def wait_until_ready(url: str, within: float = READY_WITHIN) -> None:
    """Wait until the API's /readyz answers 200. Raises StackError with its last answer."""
    deadline, last = time.monotonic() + within, ""
    while time.monotonic() < deadline:
        last = readiness(url)
        if not last:
            return
        time.sleep(1)
    raise StackError(f"deployed, but {url}readyz does not say that it is ready: {last}")


def _tell_migration(applied: list[str]) -> None:
    _say(f"migrated: {', '.join(applied)}" if applied else "the schema is up to date")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise StackError(f"--parameter takes NAME=VALUE, not {text}")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev deploy",
        description="Deploy a stage to AWS; the API's URL goes to standard output.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("stage", help="one of .chalice/config.json: dev or prod")
    add("--region", help="default as boto3 finds it")
    add(
        "--bucket",
        help="keeps the packages; default tasks-packages-ACCOUNT-REGION, which is made if missing",
    )
    add(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the template: AlarmTopicArn, Dashboard, ApiRateLimit, ApiBurstLimit, "
        "AuroraMinCapacity, AuroraMaxCapacity, AuroraZoneA, AuroraZoneB; kept from then on",
    )
    _add_switches(add)
    return parser


def _add_switches(add: Callable[..., object]) -> None:
    add(
        "--no-migrate",
        dest="migrate",
        action="store_false",
        help="leave the schema as it is: for going back to older code",
    )
    add(
        "--release-database",
        action="store_true",
        help="let a database leave the stack; deletion protection keeps it in the account",
    )
    add(
        "--repair",
        action="store_true",
        help="also undo what was changed or deleted by hand (a drift-aware change set)",
    )
    add("--no-wait", dest="wait", action="store_false", help="do not ask the API whether it is up")
