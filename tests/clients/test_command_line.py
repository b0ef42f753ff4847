"""The command line, as a shell would run it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks_client import Client
from tasks_client.cli import commands
from tasks_client.cli.program import main as run
from tests.clients.fake_service import answers, problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.fake_service import FakeService


@pytest.fixture(autouse=True)
def environment(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKS_URL", "http://tasks.test/prod")
    monkeypatch.setenv("TASKS_KEY", "tk_1_secret")
    monkeypatch.delenv("TASKS_TIMEOUT", raising=False)

    def make(url: str, key: str | None, *, timeout: float) -> Client:
        return Client(url, key, timeout=timeout, transport=service.transport)

    monkeypatch.setattr("tasks_client.cli.program.Client", make)


def refused(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2


def test_a_task_is_created_and_told_in_a_row(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["create", "Say hello", "--kind", "greet", "--payload", '{"name": "Ada"}']
    assert run([*arguments, "--tag", "x", "--tag", "y", "--delay", "5"]) == 0
    row = "1\tpending\tgreet\t0/3\t2026-11-24T02:50:47Z\tSay hello\n"
    assert capsys.readouterr().out == row
    assert json.loads(service.requests[0].content) == {
        "title": "Say hello",
        "kind": "greet",
        "payload": {"name": "Ada"},
        "tags": ["x", "y"],
        "delay_seconds": 5.0,
    }
    assert service.sent("Authorization") == ["Bearer tk_1_secret"]


def test_a_payload_comes_from_a_file_or_standard_input(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "payload.json").write_text('{"from": "file"}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "input"}'))
    assert run(["create", "a", "--payload", f"@{tmp_path}/payload.json"]) == 0
    assert run(["create", "b", "--payload", "-"]) == 0
    assert [row["payload"]["from"] for row in service.rows.values()] == ["file", "input"]


def test_a_task_may_be_created_with_a_high_priority(service: FakeService) -> None:
    assert run(["create", "a", "--priority", "high"]) == 0
    assert run(["create", "b"]) == 0
    sent = [json.loads(request.content) for request in service.requests]
    assert [body.get("priority") for body in sent] == ["high", None]


def test_json_is_one_object_a_line(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("pending", "failed", tags=["x"])
    assert run(["list", "--tag", "x", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [2, 1]
    assert run(["get", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "pending"


def test_a_list_has_no_more_than_its_limit(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add(*["pending"] * 130)
    for limit in ("7", "120"):
        assert run(["list", "--limit", limit]) == 0
        assert len(capsys.readouterr().out.splitlines()) == int(limit)
    assert service.requests[0].url.params["limit"] == "7"


def test_a_task_is_shown_whole(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.add("completed", result={"a": 1})
    assert run(["get", "1"]) == 0
    out = capsys.readouterr().out
    assert "status: completed\n" in out
    assert 'result: {"a": 1}\n' in out
    assert "error" not in out


def test_a_title_cannot_steer_the_terminal(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("pending", title="\x1b[2Jgone\nnext\tcell")
    for arguments in (["list"], ["get", "1"], ["list", "--json"]):
        assert run(arguments) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\nnext" not in out


def test_a_wait_that_ends_well_says_so(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("completed", "pending", tags=["nightly"])
    service.at(5, 2, status="completed")
    assert run(["wait", "--tag", "nightly"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("2 tasks: 2 completed\n", "")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_wait_for_a_task_that_does_not_succeed_has_status_1(
    service: FakeService, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    service.add("completed", status)
    assert run(["wait", "1", "2"]) == 1
    summary, row = capsys.readouterr().out.splitlines()
    assert summary == f"2 tasks: 1 completed, 1 {status}"
    assert row.startswith(f"2\t{status}")


def test_a_wait_that_is_over_too_early_has_status_4(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("pending")
    assert run(["wait", "1", "--timeout", "30"]) == 4
    assert capsys.readouterr().err == "tasks: task 1 is still pending\n"


def test_a_wait_for_a_tag_that_nothing_has_is_no_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["wait", "--tag", "typo"]) == 3
    assert capsys.readouterr().err == "tasks: no task has the tag 'typo'\n"


def test_some_may_fail_and_the_others_are_done(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("pending", "completed", "pending")
    assert run(["cancel", "1", "2", "9", "3"]) == 3
    told = capsys.readouterr()
    assert [line.split("\t")[0] for line in told.out.splitlines()] == ["1", "3"]
    assert told.err.splitlines() == [
        "tasks: task 2: It is illegal-move. It is completed.",
        "tasks: task 9: It is task-not-found.",
    ]


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("Task 1 is completed and cannot be cancelled.",) * 2,
        ("There is no task 1.",) * 2,
        ("It is completed.", "task 1: It is completed."),
        ("No.", "task 1: No. It is completed."),
        ("See task 11.", "task 1: See task 11. It is completed."),
    ],
)
def test_what_is_said_of_a_task_is_said_once(
    service: FakeService, capsys: pytest.CaptureFixture[str], detail: str, told: str
) -> None:
    if detail.startswith("There is no"):
        service.faults.append(lambda _: problem(404, "task-not-found", detail=detail))
    else:
        current = {"current": "completed", "detail": detail}
        service.faults.append(lambda _: problem(409, "illegal-move", **current))
    assert run(["cancel", "1"]) == 3
    assert capsys.readouterr().err == f"tasks: {told}\n"


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1), ("processing", 4)]
)
def test_a_create_that_waits_ends_as_its_task_does(
    service: FakeService, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    service.at(5, 1, status=status)
    assert run(["create", "t", "--wait", "10"]) == code
    assert capsys.readouterr().out.startswith(f"1\t{status}\t")


def test_a_create_that_does_not_wait_is_done_when_the_task_exists(service: FakeService) -> None:
    assert run(["create", "t"]) == 0
    assert service.rows[1]["status"] == "pending"


def test_tasks_are_retried_by_id_or_filter(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("failed", "failed", "failed", tags=["x"])
    assert run(["retry", "2"]) == 0
    assert capsys.readouterr().out.startswith("2\tpending")
    assert run(["retry", "--tag", "x", "--limit", "1"]) == 0
    assert capsys.readouterr().out == "1 retried; there may be more\n"
    assert run(["retry", "--tag", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ids": [3], "more": False, "next_cursor": None}


def test_tasks_are_deleted_quietly(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add("completed", "failed")
    assert run(["delete", "1", "2"]) == 0
    assert service.rows == {}
    assert capsys.readouterr().out == ""


def test_attempts_are_rows(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "exception", "class": "ValueError", "message": "no"}
    tried = {"attempt": 1, "started_at": "2026-11-24T02:50:47Z", "duration": 0.25}
    service.add("failed", tries=[{**tried, "outcome": "retry", "error": error}])
    assert run(["attempts", "1"]) == 0
    row = "1\t2026-11-24T02:50:47Z\t0.250 s\tretry\texception: ValueError: no\n"
    assert capsys.readouterr().out == row


def test_a_refusal_is_one_line_with_the_requests_id(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.faults.append(answers(403))
    assert run(["get", "1"]) == 3
    assert capsys.readouterr().err == "tasks: It is about:blank. (request r-1)\n"


def test_a_problem_cannot_steer_the_terminal(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.faults.append(lambda _: problem(403, "x", detail="\x1b[2J\nfake", request_id="\x1b"))
    assert run(["get", "1"]) == 3
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["get", "x"],
        ["get", "0"],
        ["create"],
        ["create", "t", "--payload", "[1]"],
        ["create", "t", "--payload", "{"],
        ["create", "t", "--payload", "@/does/not/exist"],
        ["create", "t", "--run-at", "2026-11-25T03:00:00"],
        ["create", "t", "--run-at", "tomorrow"],
        ["create", "t", "--delay", "nan"],
        ["create", "t", "--delay", "1", "--run-at", "2026-11-25T03:00:00Z"],
        ["list", "--status", "lost"],
        ["list", "--key", "tk_1_secret"],
    ],
)
def test_wrong_use_is_told_before_anything_is_sent(
    service: FakeService, arguments: list[str]
) -> None:
    refused(*arguments)
    assert service.requests == []


@pytest.mark.parametrize("arguments", [["wait"], ["wait", "1", "--tag", "x"], ["retry"]])
def test_it_must_be_said_which_tasks_are_meant(
    service: FakeService, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith("tasks: give IDs")
    assert service.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("TASKS_URL", ""), ("TASKS_URL", "tasks.test"), ("TASKS_TIMEOUT", "x"), ("TASKS_KEY", "a b")],
)
def test_a_wrong_environment_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert run(["list"]) == 2
    err = capsys.readouterr().err
    assert name in err
    assert err.count("\n") == 1
    assert "a b" not in err


def test_an_interrupt_is_one_line_and_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "list", interrupt)
    assert run(["list"]) == 130
    assert capsys.readouterr().err == "tasks: interrupted; the service goes on\n"
