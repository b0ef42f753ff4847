"""The doctor's judgement of facts, what policies allow, and how the API's door is knocked at."""

from __future__ import annotations

import http.server
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.settings import Settings
from localdev import door
from localdev.doctor import asking, report, rights
from localdev.doctor.checks import CHECKS
from localdev.doctor.checks.concurrency import room_of
from localdev.doctor.facts import Facts
from localdev.doctor.finding import Check, Grade, NotKnownError, Unknown, fine, warning, wrong
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BY_NAME = {check.name: check for check in CHECKS}
DEAD = "arn:aws:sqs:us-east-1:000000000000:interview-queue-dlq"
REDRIVE = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 3})
SERVER = {
    "standby": False,
    "max_connections": 100,
    "reserved": 3,
    "others": 10,
    "role_limit": None,
    "database_limit": None,
    "clock_ahead": 0.01,
    "clock_error": 0.02,
}
_COUNTED = ("unsent", "presumed", "lost", "late")
BACKLOG = dict.fromkeys(("waiting", "processing", "failed", *_COUNTED), 0) | {
    f"{name}_for": 0 for name in _COUNTED
}
DIAGNOSIS: dict[str, Any] = {
    "server": SERVER,
    "schema": {"found": 2, "wanted": 2},
    "backlog": BACKLOG,
}


def facts(**changes: Any) -> Facts:
    """Return the facts of a local stack that is well, but for the changes."""
    well: dict[str, Any] = {
        "place": "here",
        "settings": Settings(),
        "queue": {
            "VisibilityTimeout": "360",
            "MessageRetentionPeriod": "345600",
            "RedrivePolicy": REDRIVE,
        },
        "dead_letter_queue": {"QueueArn": DEAD, "MessageRetentionPeriod": "1209600"},
        "diagnosis": DIAGNOSIS,
        "ready": "",
    }
    return Facts(**(well | changes))


def diagnosed(part: str, **changes: Any) -> Facts:
    return facts(diagnosis={**DIAGNOSIS, part: {**DIAGNOSIS[part], **changes}})


def test_a_local_stack_that_is_well_is_told_to_be() -> None:
    asked = [check for check in CHECKS if check.here]
    assert {check.find(facts()).grade for check in asked} == {Grade.OK}
    assert len(asked) > 8


HERE: list[tuple[str, Facts, str]] = [
    ("queues", facts(queue=None), 'eval "$(.venv/bin/python -m localdev env)"; scripts/seed_'),
    ("visibility-timeout", facts(settings=Settings(worker_timeout=300)), "timeout 1800"),
    ("database", facts(diagnosis={"error": "StoreUnavailable: no"}), "look at DATABASE_URL"),
    ("schema", diagnosed("schema", found=1), "scripts/dev.sh"),
    ("ready", facts(ready="503"), "scripts/dev.sh"),
]


@pytest.mark.parametrize(("name", "ill", "cure"), HERE)
def test_a_fault_of_the_local_stack_is_cured_here(name: str, ill: Facts, cure: str) -> None:
    finding = BY_NAME[name].find(ill)
    assert finding.grade is Grade.WRONG
    assert cure in finding.notes[0].cure
    assert "aws " not in finding.notes[0].cure


def test_what_cannot_be_known_is_not_checked_and_says_why() -> None:
    finding = BY_NAME["redrive"].find(facts(queue=Unknown("SQS is asleep")))
    assert (finding.grade, finding.notes[0].found) == (Grade.NOT_CHECKED, "SQS is asleep")
    for name in ("schema", "clock", "backlog"):
        assert BY_NAME[name].find(facts(diagnosis={"error": "x"})).grade is Grade.NOT_CHECKED
    no_backlog = facts(diagnosis={"server": SERVER, "schema": {}, "backlog": None})
    assert BY_NAME["backlog"].find(no_backlog).grade is Grade.NOT_CHECKED


def test_a_grade_is_the_worst_of_what_was_found() -> None:
    def grade(*notes: Any) -> Grade:
        return Check("x", "x", "x", lambda _: notes).find(facts()).grade

    assert grade(fine("a"), wrong("b", "c"), warning("d", "e")) is Grade.WRONG
    assert grade(warning("d", "e"), fine("a")) is Grade.WARNING
    assert grade(fine("a")) is Grade.OK


@pytest.mark.parametrize(
    ("seconds", "error", "grade"),
    [
        (4.9, 0, Grade.OK),
        (-5.1, 0, Grade.WARNING),
        (-5.1, 0.2, Grade.OK),  # the network's doing, perhaps
        (301, 0, Grade.WRONG),
    ],
)
def test_a_clock_is_judged_by_what_is_certain(seconds: float, error: float, grade: Grade) -> None:
    told = diagnosed("server", clock_ahead=seconds, clock_error=error)
    assert BY_NAME["clock"].find(told).grade is grade


@pytest.mark.parametrize(
    ("backlog", "grade"),
    [
        ({"unsent": 3, "unsent_for": 140}, Grade.OK),  # the next tick's work
        ({"unsent": 3, "unsent_for": 160}, Grade.WRONG),
        ({"presumed": 2, "presumed_for": 200}, Grade.WRONG),
        ({"presumed": 1, "presumed_for": 200}, Grade.OK),  # its message is there
        ({"presumed": 1, "presumed_for": 3700}, Grade.WARNING),
    ],
)
def test_a_backlog_is_judged_by_its_age_and_its_messages(
    backlog: dict[str, float], grade: Grade
) -> None:
    told = {**BACKLOG, **backlog}
    ill = facts(
        diagnosis={"server": SERVER, "schema": {}, "backlog": told},
        queue={"ApproximateNumberOfMessages": "1"},
    )
    assert BY_NAME["backlog"].find(ill).grade is grade


def test_the_room_for_connections_is_the_least_of_what_limits_it() -> None:
    assert room_of(SERVER) == 87
    assert room_of({**SERVER, "role_limit": 20, "database_limit": 30}) == 20
    assert room_of({**SERVER, "database_limit": 0}) == 0


Q = "arn:aws:sqs:eu-west-1:1:q"


def said(effect: str, action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([said("Allow", "sqs:SendMessage", Q)], True),
        ([said("Allow", ["sqs:Get*", "SQS:send*"], [Q, "x"])], True),
        ([said("Allow", "sqs:SendMessage", "arn:*:sqs:*:*:q")], True),
        ([said("Allow", "sqs:SendMessag?", f"{Q[:-1]}?")], True),
        ([said("Allow", "sqs:SendMessage", f"{Q}-dlq")], False),
        ([said("Allow", "sqs:Send")], False),
        ([], False),
        ([said("Allow", "*"), said("Deny", "sqs:*", Q)], False),
        ([said("Allow", "*"), said("Deny", "sqs:*", "another")], True),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "Action": "*", "NotResource": Q}], False),
    ],
)
def test_policies_allow_what_they_say(statements: list[Any], allowed: bool) -> None:  # noqa: FBT001
    policies = [{"Statement": one} for one in statements]
    assert rights.allows(policies, "sqs:SendMessage", Q) is allowed
    assert rights.allows([{"Statement": statements}], "sqs:SendMessage", Q) is allowed


def test_a_condition_is_not_judged_but_told() -> None:
    policy = {"Statement": said("Allow", "sqs:*", Condition={"Bool": {}})}
    with pytest.raises(NotKnownError, match="a condition decides on sqs:SendMessage"):
        rights.allows([policy], "sqs:SendMessage", Q)
    assert not rights.allows([policy], "iam:PassRole", Q)


def test_what_our_policies_leave_open_is_filled_in() -> None:
    account = rights.Account("aws-cn", "cn-north-1", "42")
    assert account.named("arn:*:sqs:*:*:q") == "arn:aws-cn:sqs:cn-north-1:42:q"
    log = "arn:*:logs:*:*:log-group:/aws/lambda/x:*"
    assert account.named(log) == "arn:aws-cn:logs:cn-north-1:42:log-group:/aws/lambda/x:*"
    assert account.named("*") == "*"


class Door(http.server.BaseHTTPRequestHandler):
    """Is ready at one path, and says why not at another."""

    def do_GET(self) -> None:
        ready = self.path == "/api/readyz"
        body = b"{}" if ready else b"its schema is older"
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_door_is_asked_whether_it_is_ready(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert door.readiness(f"{served}api/", here=True) == ""
    assert door.readiness(served, here=True) == "503 its schema is older"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert door.readiness(f"{served}api/", here=True) == ""
    assert door.readiness(f"{served}api/").startswith("no answer")


def test_nothing_is_said_of_what_goes_quickly() -> None:
    lines: list[str] = []
    with asking.Progress(lines.append) as progress:
        progress.step("SQS")
    assert lines == []


def test_the_document_has_every_check_in_its_shape() -> None:
    findings = [BY_NAME["ready"].find(facts()), BY_NAME["ready"].find(facts(ready="503"))]
    told = json.loads(report.document("here", findings))
    assert {key: told[key] for key in ("form", "place", "status")} == {
        "form": 1,
        "place": "here",
        "status": "wrong",
    }
    assert [list(check) for check in told["checks"]] == [
        ["name", "status", "title", "why", "findings"]
    ] * 2
    assert told["checks"][0]["findings"] == [{"status": "ok", "found": "200", "cure": None}]


DOCS = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_every_check_is_documented_in_its_order_and_with_its_place() -> None:
    table = DOCS.partition("## The checks")[2]
    rows = re.findall(r"^\| `([a-z-]+)`( \(\*here\*\))? \|", table, re.MULTILINE)
    assert rows == [(check.name, " (*here*)" if check.here else "") for check in CHECKS]


def test_every_grade_is_documented() -> None:
    table = DOCS.partition("## The checks")[0]
    assert re.findall(r"^\| `([a-z ]+)` \|", table, re.MULTILINE) == list(Grade)


def test_every_permission_that_is_asked_for_is_documented() -> None:
    texts = [path.read_text() for path in (ROOT / "localdev" / "doctor").glob("*.py")]
    asked = set(re.findall(r"\b[a-z]+:(?:[A-Z][a-z]+){2,}\b|apigateway:GET", "".join(texts)))
    assert len(asked) > 15
    assert {permission for permission in asked if permission not in DOCS} == set()


HIGH = {**facts().queue, "QueueArn": f"{DEAD.removesuffix('-dlq')}-high"}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("high", "ill"),
    [
        (HIGH, set()),
        (None, {"queues"}),
        ({**HIGH, "VisibilityTimeout": "60"}, {"visibility-timeout"}),
        ({**HIGH, "RedrivePolicy": "{}"}, {"redrive"}),
        ({**HIGH, "MessageRetentionPeriod": "60"}, {"retention"}),
    ],
)
def test_a_second_queue_is_to_be_as_the_first(high: dict[str, str] | None, ill: set[str]) -> None:
    found = facts(settings=Settings(priority_queue="on"), high_queue=high)
    wrong = {
        name
        for name in ("queues", "visibility-timeout", "redrive", "retention")
        if BY_NAME[name].find(found).grade is Grade.WRONG
    }
    assert wrong == ill
