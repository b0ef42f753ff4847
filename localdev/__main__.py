"""The command line: python -m localdev up | keys | deploy | doctor | seed | psql and others."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from pathlib import Path

from localdev import processes, state
from localdev.errors import StackError
from localdev.processes import APP, ROOT

#: Commands whose arguments are their own.
_APART = {
    "cold-start": "localdev.lambda_runtime.cold_start",
    "deploy": "localdev.deploy.command",
    "doctor": "localdev.doctor.command",
    "keys": "localdev.keys",
    "package": "localdev.deploy.package",
    "seed": "localdev.seed",
    "tools": "localdev.tools",
}


def main(arguments: list[str]) -> int:
    """Run a command and return its exit status."""
    sys.path[:0] = [path for path in (str(ROOT), str(APP)) if path not in sys.path]
    if arguments and arguments[0] in _APART:
        module = importlib.import_module(_APART[arguments[0]])
        return int(module.main(arguments[1:]))
    if arguments[:1] == ["psql"]:
        split = 3 if arguments[1:2] == ["--data"] else 1
        known, rest = arguments[1:split], arguments[split:]
        return _run(_parser().parse_args(["psql", *known]), rest)
    return _run(_parser().parse_args(arguments), [])


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    from localdev import commands  # noqa: PLC0415

    if options.command == "up":
        return _up(options)
    running = state.read(_folder(options.data))
    match options.command:
        case "psql":
            return commands.psql(running, rest)
        case "env":
            return commands.env(running)
        case "attributes":
            return commands.attributes(running)
        case _:
            return commands.receive(running, dead_letter=options.dead_letter)


def _up(options: argparse.Namespace) -> int:
    from localdev.supervisor import Options, Supervisor  # noqa: PLC0415

    folder = _folder(options.data)
    asked = Options(
        options.port,
        folder,
        options.workers,
        options.json,
        auth=options.auth,
        packaged=options.zip,
    )
    return Supervisor(asked).run()


def _folder(given: Path | None) -> Path:
    return given.resolve() if given else ROOT / state.DEFAULT_FOLDER


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:  # noqa: PLR2004  (TCP's)
        raise argparse.ArgumentTypeError("a port is 1 to 65535")
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localdev", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    data = argparse.ArgumentParser(add_help=False)
    kept = f"where state is kept; default {state.DEFAULT_FOLDER}"
    data.add_argument("--data", type=Path, help=kept)
    up = commands.add_parser("up", parents=[data], help="start everything and follow its events")
    up.add_argument("--port", type=_port, default=8000, help="of the HTTP server; default 8000")
    up.add_argument("--workers", type=_count, default=2, help="most batches at once; default 2")
    up.add_argument("--json", action="store_true", help="print events as JSON lines")
    up.add_argument("--zip", action="store_true", help="run the package of the stage dev")
    up.add_argument("--auth", action="store_true", help="ask every request for a key; make one")
    commands.add_parser("keys", add_help=False, help="make, list and end keys; secrets of webhooks")
    commands.add_parser("package", add_help=False, help="make a stage's zip and template")
    commands.add_parser("deploy", add_help=False, help="deploy a stage to AWS")
    commands.add_parser("doctor", add_help=False, help="tell whether a stack is well")
    commands.add_parser("cold-start", add_help=False, help="measure how long a package starts")
    commands.add_parser("tools", add_help=False, help="prepare .venv.NAME")
    commands.add_parser("seed", add_help=False, help="create the queues at an SQS endpoint")
    commands.add_parser(
        "psql", parents=[data], add_help=False, help="psql on the running stack's database"
    )
    commands.add_parser("attributes", parents=[data], help="the attributes of both queues")
    receive = commands.add_parser("receive", parents=[data], help="look at one message")
    receive.add_argument("--dead-letter", action="store_true", help="of the dead-letter queue")
    commands.add_parser("env", parents=[data], help="export lines for your shell")
    return parser


def _guarded(arguments: list[str]) -> int | str:
    try:
        status = main(arguments)
        sys.stdout.flush()
        return status
    except StackError as error:
        return str(error)
    except PermissionError as error:
        return f"not allowed: {error.filename or error}; it belongs to another account"
    except BrokenPipeError:
        processes.mute(sys.stdout)
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(_guarded(sys.argv[1:]))
