"""What is said in two places is the same: settings, config.json, resources, policies, docs."""

from __future__ import annotations

import json
import re
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from chalicelib import errors, web
from chalicelib.chalice_cli.options import Options
from chalicelib.settings import Settings
from chalicelib.sweeper import letters
from localdev.http_handler import NO_ROUTE
from tests.house.schema_dump import schema

ROOT = Path(__file__).parents[2]
CHALICE = ROOT / "chalice_app" / ".chalice"
SETTINGS = Settings()


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(name: str) -> Any:
    return json.loads((CHALICE / name).read_text(encoding="utf-8"))


def resource(name: str) -> dict[str, Any]:
    return dict(load("resources.json")["Resources"][name]["Properties"])


def test_the_queue_hides_messages_for_six_time_limits() -> None:
    assert resource("TasksQueue")["VisibilityTimeout"] == "${VISIBILITY_TIMEOUT}"
    assert SETTINGS.visibility_timeout == 6 * SETTINGS.worker_timeout


def test_the_queue_dead_letters_after_as_many_receives_as_a_task_has_attempts() -> None:
    policy = resource("TasksQueue")["RedrivePolicy"]
    assert policy["maxReceiveCount"] == "${MAX_RECEIVE_COUNT}"
    assert SETTINGS.max_receive_count == SETTINGS.attempt_limit


def test_a_dead_letter_outlives_the_queues_own_retention() -> None:
    day = 24 * 60 * 60
    assert resource("TasksQueue")["MessageRetentionPeriod"] == 4 * day
    assert resource("TasksDeadLetterQueue")["MessageRetentionPeriod"] == 14 * day
    assert 14 * day == letters.RETENTION


def test_the_queues_are_named_as_the_settings_say() -> None:
    dead_letter_queue = Settings(queue_name="x").dead_letter_queue_name
    assert resource("TasksQueue")["QueueName"] == "${QUEUE_NAME}"
    assert resource("TasksDeadLetterQueue")["QueueName"] == dead_letter_queue.replace(
        "x", "${QUEUE_NAME}"
    )


@pytest.mark.parametrize("kind", resource("RestAPI")["GatewayResponses"])
def test_what_the_gateway_answers_by_itself_is_a_problem(kind: str) -> None:
    answer = resource("RestAPI")["GatewayResponses"][kind]
    headers = answer["ResponseParameters"]["Headers"]
    assert headers.pop("Content-Type") == "'application/problem+json'"
    assert re.fullmatch(r"'\d+'", headers.pop("Retry-After", "'0'"))
    assert headers == {}
    text = answer["ResponseTemplates"]["application/json"]
    # API Gateway's variables; this one comes with its quotation marks.
    content = json.loads(text.replace("$context.error.messageString", '"what was wrong"'))
    status = int(answer["StatusCode"])
    assert content["type"] == "about:blank"
    assert (content["status"], content["title"]) == (status, phrase(status))
    assert content["detail"]
    assert content["instance"] == "$context.path"
    assert content["request_id"] == "$context.requestId"


def phrase(status: int) -> str:
    # RFC 9110's name; Python before 3.13 has the one of its forerunner.
    return "Content Too Large" if status == 413 else HTTPStatus(status).phrase


def test_a_path_that_is_not_there_is_answered_alike_here_and_on_aws() -> None:
    answer = resource("RestAPI")["GatewayResponses"]["MISSING_AUTHENTICATION_TOKEN"]
    content = json.loads(answer["ResponseTemplates"]["application/json"])
    assert (content["status"], content["detail"]) == (404, NO_ROUTE)


def test_every_option_of_a_stage_is_documented_and_so_is_every_parameter_of_the_stack() -> None:
    told = read("docs/deploy.md")
    rows = re.findall(r'^\| `"(\w+)"` \|', told, re.MULTILINE)
    assert rows == list(Options.model_fields)
    parameters = load("resources.json")["Parameters"] | load("aurora.json")["Parameters"]
    command = read("localdev/deploy/command.py")
    for name in parameters:
        assert f"`{name}`" in told or f"{name}=" in told
        assert name in command
    for name, one in load("aurora.json")["Parameters"].items():
        assert f"| `--parameter {name}=…` | {one['Default']} |" in told


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)`", read("docs/settings.md"), re.MULTILINE)
    defaults = {
        name.upper(): format(field.default, "g")
        if isinstance(field.default, float | int)
        else field.default
        for name, field in Settings.model_fields.items()
    }
    assert dict(rows) == defaults


def test_every_problem_is_documented() -> None:
    told = set(re.findall(r"urn:problem-type:tasks:([a-z-]+)", read("docs/errors.md")))
    answered = {web.kebab(kind.__name__) for kind in reachable_errors()}
    assert told == answered


def reachable_errors() -> set[type[errors.ServiceError]]:
    inner = {  # never reach a client
        errors.UnreadableMessage,
        errors.BadExpression,
        errors.BatchPartiallyFailed,
        errors.DuplicateHandler,
        errors.InvalidPolicy,
        errors.UnknownKind,
        errors.InvalidSettings,
        errors.KeyNotFound,
        errors.MigrationRefused,
        errors.NotStorable,
        errors.OutboundFailed,
        errors.OutboundRefused,
        errors.QueueUnavailable,
        errors.Unavailable,
    }
    found, waiting = set(), [errors.ServiceError]
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting += kind.__subclasses__()
    return found - inner


def test_every_code_of_a_failed_task_is_documented() -> None:
    source = read("docs/schema.sql") + read("chalice_app/chalicelib/sql/queries.sql")
    source += read("chalice_app/chalicelib/outcome.py")
    codes = set(re.findall(r"""["']code["'](?::|,) ["'](\w+)["']""", source))
    codes |= set(re.findall(r'describe\("(\w+)"', source))
    assert {"exception", "timeout", "permanent", "crashed", "attempts_exhausted"} <= codes
    told = set(re.findall(r"^\| `([a-z_]+)` \|", read("docs/errors.md"), re.MULTILINE))
    assert codes <= told


def test_every_route_is_documented() -> None:
    import app

    readme = read("README.md") + read("docs/architecture.md")
    for path, methods in app.app.routes.items():
        for method in methods:
            assert f"{method} {re.sub(r'{[a-z]+_id}', '{id}', path)}" in readme


def test_every_test_that_the_fault_matrix_names_exists() -> None:
    rows = re.findall(r"^\| (\d+) \|", read("docs/reliability.md"), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 59)]
    named = re.findall(r"`(tests/\w+/\w+\.py)::(\w+)", read("docs/reliability.md"))
    assert len(named) > 55
    assert [name for path, name in named if f"def {name}(" not in read(path)] == []


def test_the_dumped_schema_is_what_the_migrations_build() -> None:
    header, _, dumped = read("docs/schema.sql").partition("\n\n")
    assert header.startswith("--")
    assert dumped == schema(), "run scripts/schema.sh and review what changed"


def test_the_changelog_tells_of_this_version() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] in ("Unreleased", version)


def test_what_is_shipped_is_pinned_by_hash_and_the_same_as_what_is_tested() -> None:
    shipped = pins(read("chalice_app/requirements.txt"))
    tested = pins(read("requirements-dev.txt"))
    assert shipped
    assert shipped.items() <= tested.items()
    wanted = tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]
    assert {re.split(r"[<>=]", want)[0] for want in wanted} <= shipped.keys()


def pins(text: str) -> dict[str, str]:
    blocks = re.split(r"\n(?=[a-z])", "\n" + text)
    found = {}
    for block in blocks[1:]:
        match = re.match(r"([\w.-]+)==(\S+)", block)
        assert match, block
        assert "--hash=sha256:" in block
        found[match[1]] = match[2]
    return found
