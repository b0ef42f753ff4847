"""scripts/keys.sh, on a running stack's database and through a deployed function.

The function is asked over HTTP as AWS Lambda is, from a server of ours that invokes the app: moto's
Lambda would need Docker.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.errors import ServiceError
from chalicelib.outbound.signing import secrets_of
from localdev import state
from localdev.processes import ROOT
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = re.compile(r"tk_([a-z0-9]{16})_[A-Za-z0-9_-]{43}\n")
ROOTS = ",".join(letter * 32 for letter in "ab")
NEW = ("create", "--tenant", "acme", "--name", "billing")

Command = subprocess.CompletedProcess[str]


class Lambda(BaseHTTPRequestHandler):
    """Answers Invoke (2015-03-31) for one function; ``refusal`` is AWS's, if it has one."""

    refusal: tuple[int, str, str] | None = None
    asked: list[str]

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(self.path)
        if self.refusal:
            status, code, message = self.refusal
            self._answer(status, {"message": message}, {"x-amzn-ErrorType": code})
        elif "/functions/tasks-prod-admin/" not in self.path:
            told = {"Message": "Function not found", "Type": "User"}
            self._answer(404, told, {"x-amzn-ErrorType": "ResourceNotFoundException"})
        else:
            self._invoke(event)

    def _invoke(self, event: Any) -> None:
        try:
            self._answer(200, front_door.admin(event, FakeContext()))
        except ServiceError as error:
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            self._answer(200, told, {"X-Amz-Function-Error": "Unhandled"})

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def invoked(
    keyed: Api,  # noqa: ARG001  (the app on a database)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[type[Lambda]]:
    class Own(Lambda):
        asked: list[str] = []  # noqa: RUF012  (one server's)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    yield Own
    server.shutdown()
    server.server_close()


@pytest.fixture
def stack(tmp_path: Path, database_url: str) -> Iterator[Path]:
    """The data folder of a stack that runs, as far as a command can tell."""
    folder = tmp_path / "data"
    state.prepare(folder)
    with state.locked(folder, "http://127.0.0.1:1"):
        environ = {"DATABASE_URL": database_url, "WEBHOOK_SECRETS": ROOTS}
        state.write(folder, state.Running(1, "http://127.0.0.1:1", environ, "psql"))
        yield folder


def run(*arguments: str) -> Command:
    return subprocess.run(
        [sys.executable, "-m", "localdev", "keys", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"},
        timeout=60,
    )


@pytest.fixture(params=["running stack", "deployed stage"])
def command(request: pytest.FixtureRequest) -> Callable[..., Command]:
    """The command for either place."""
    if request.param == "running stack":
        folder = request.getfixturevalue("stack")
        where = ["--data", str(folder)]
    else:
        request.getfixturevalue("invoked")
        where = ["--stage", "prod"]
    return lambda *arguments: run(*arguments, *where)


def test_a_new_key_is_the_only_line_of_the_output_and_opens_the_api(
    keyed: Api, command: Callable[..., Command]
) -> None:
    made = command(*NEW, "--scopes", "tasks:read", "--days", "90")
    assert made.returncode == 0, made.stderr
    assert KEY.fullmatch(made.stdout)
    assert "shown this once and not kept" in made.stderr
    assert made.stdout.strip() not in made.stderr
    assert keyed.get("/tasks", **bearer(made.stdout.strip())).status_code == 200


def test_keys_are_listed_and_revoked_without_their_secrets(
    keyed: Api, command: Callable[..., Command]
) -> None:
    text = command(*NEW).stdout.strip()
    other = command("create", "--tenant", "umbra", "--name", "reports").stdout.strip()
    listed = command("list", "--tenant", "acme")
    assert listed.stdout == f"{text[3:19]}  acme  tasks:read,tasks:write  live  billing\n"
    assert len(command("list").stdout.splitlines()) == 2
    ended = command("revoke", text[3:19])
    assert ended.stdout == f"{text[3:19]}  acme  tasks:read,tasks:write  revoked  billing\n"
    assert [keyed.get("/tasks", **bearer(key)).status_code for key in (text, other)] == [401, 200]


def test_json_is_the_whole_answer(command: Callable[..., Command]) -> None:
    made = command(*NEW, "--json")
    answer = json.loads(made.stdout)
    assert KEY.fullmatch(answer["text"] + "\n")
    assert answer["key"]["tenant"] == "acme"
    assert made.stderr == ""
    assert json.loads(command("list", "--json").stdout) == {"keys": [answer["key"]]}


def test_the_secrets_of_a_tenants_webhooks_are_told_a_line_each(stack: Path) -> None:
    where = ("webhook_secrets", "--tenant", "acme", "--data", str(stack))
    assert run(*where).stdout.splitlines() == secrets_of("acme", ROOTS)
    assert json.loads(run(*where, "--json").stdout) == {"secrets": secrets_of("acme", ROOTS)}


def test_a_stage_is_asked_for_the_secrets_of_a_tenants_webhooks(
    invoked: type[Lambda], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def admin(event: Any, context: Any) -> Any:  # noqa: ARG001
        asked.append(event)
        return {"secrets": ["whsec_new", "whsec_old"]}

    monkeypatch.setattr(front_door, "admin", admin)
    done = run("webhook_secrets", "--tenant", "acme", "--stage", "prod")
    assert (done.returncode, done.stdout) == (0, "whsec_new\nwhsec_old\n")
    assert asked == [{"action": "webhook_secrets", "tenant": "acme"}]
    assert invoked.asked == ["/2015-03-31/functions/tasks-prod-admin/invocations"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "--tenant", "Acme Inc", "--name", "x"], "tenant has to be 1 to 63 of a-z"),
        ([*NEW, "--scopes", "read"], "scopes.0 has to be 'tasks:read'"),
        ([*NEW, "--days", "-1"], "lifetime_days has to be greater than 0"),
        (["revoke", "0" * 16], "There is no key with this id."),
    ],
)
def test_a_mistake_is_told_in_one_line(
    command: Callable[..., Command], arguments: list[str], told: str
) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


def test_a_stack_that_does_not_run_is_told(tmp_path: Path) -> None:
    done = run("list", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"nothing runs in {tmp_path}; start it first: scripts/dev.sh\n"


def test_a_stage_that_is_not_deployed_is_told(invoked: type[Lambda]) -> None:
    done = run("list", "--stage", "dev")
    assert done.returncode == 1
    assert done.stderr.startswith("there is no function tasks-dev-admin; deploy the stage")
    assert invoked.asked == ["/2015-03-31/functions/tasks-dev-admin/invocations"]


def test_what_aws_refuses_is_told_and_not_tried_again(invoked: type[Lambda]) -> None:
    invoked.refusal = (403, "AccessDeniedException", "User x is not authorized to do this")
    done = run(*NEW, "--stage", "prod")
    assert done.returncode == 1
    assert "AccessDeniedException: User x is not authorized" in done.stderr
    invoked.refusal = (500, "ServiceException", "Lambda itself failed")
    assert "ServiceException: Lambda itself failed" in run(*NEW, "--stage", "prod").stderr
    assert len(invoked.asked) == 2


def test_a_function_that_is_broken_says_where_to_look(
    invoked: type[Lambda], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(event: Any, context: Any) -> Any:  # noqa: ARG001
        raise ServiceError("Task timed out")

    monkeypatch.setattr(front_door, "admin", broken)
    done = run("list", "--stage", "prod")
    assert done.stderr.startswith("tasks-prod-admin failed; its log says more: ServiceError:")
    assert invoked.asked


def test_an_aws_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
    done = run("list", "--stage", "prod")
    assert done.returncode == 1
    told = "AWS could not be asked to invoke tasks-prod-admin: Could not connect"
    assert done.stderr.startswith(told)
