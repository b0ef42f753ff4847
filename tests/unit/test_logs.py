"""Log lines: one JSON object each, and no text that a client or the database wrote."""

from __future__ import annotations

import contextvars
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import psycopg2
import pytest
from botocore.exceptions import ClientError

from chalicelib import logs
from chalicelib.errors import QueueUnavailable
from chalicelib.logs import JsonLines


def line(level: int = logging.INFO, error: BaseException | None = None, **extra: Any) -> Any:
    info = (type(error), error, error.__traceback__) if error else None
    logger = logging.getLogger("chalicelib.test")
    record = logger.makeRecord(logger.name, level, "f.py", 1, "task_started", (), info, "f", extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_tells_when_how_bad_what_and_the_facts() -> None:
    told = line(task_id=7, code=None)
    assert told.pop("time").endswith("Z")
    assert told == {"level": "INFO", "event": "task_started", "task_id": 7}


def test_a_fact_that_is_no_json_is_told_as_text() -> None:
    assert line(where={"a": object})["where"] == {"a": str(object)}


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("cause", [ValueError("canary-1"), psycopg2.DataError("canary-1")])
def test_an_exception_is_named_with_its_place_but_its_text_is_not_told(cause: Exception) -> None:
    try:
        try:
            _raise(cause)
        except Exception as inner:
            raise RuntimeError("canary-2") from inner
    except RuntimeError as error:
        told = line(logging.ERROR, error)
    assert told["exception"] == "RuntimeError"
    assert any("test_logs.py" in frame for frame in told["stack"])
    assert "canary" not in json.dumps(told)


def test_what_is_bound_is_on_every_line_of_the_block_and_on_no_other() -> None:
    with logs.bound(request_id="r", function="worker"):
        with logs.bound(task_id=7, trace_id=None):
            assert line(kind="default") | {"time": ""} == {
                "time": "",
                "level": "INFO",
                "event": "task_started",
                "request_id": "r",
                "function": "worker",
                "task_id": 7,
                "kind": "default",
            }
        assert "task_id" not in line()
    assert "request_id" not in line()


def test_what_a_line_says_itself_wins_over_what_is_bound() -> None:
    with logs.bound(trace_id="the invocation's"):
        assert line(trace_id="the task's")["trace_id"] == "the task's"


def test_what_is_bound_ends_with_the_block_even_if_it_raises() -> None:
    with pytest.raises(ValueError, match="no luck"), logs.bound(task_id=7):
        raise ValueError("no luck")
    assert "task_id" not in line()


def test_a_thread_has_what_is_bound_if_it_runs_in_a_copy_of_the_context() -> None:
    told: list[Any] = []
    with logs.bound(task_id=7):
        copied = contextvars.copy_context()
        for run in (lambda: copied.run(lambda: told.append(line())), lambda: told.append(line())):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert [one.get("task_id") for one in told] == [7, None]


def test_a_durations_unit_is_the_millisecond() -> None:
    assert logs.milliseconds(1.23456) == 1234.6


def test_an_error_of_sqs_is_named_by_its_code_and_its_cause_but_not_by_its_text() -> None:
    error = QueueUnavailable("canary")
    told: Any = {"Error": {"Code": "AccessDenied", "Message": "canary"}}
    error.__cause__ = ClientError(told, "SendMessage")
    text = line(logging.WARNING, error)
    assert (text["exception"], text["cause"]) == ("QueueUnavailable", "ClientError")
    assert text["aws_code"] == "AccessDenied"
    assert "canary" not in json.dumps(text)


def test_a_database_error_tells_its_sqlstate() -> None:
    class Refused(psycopg2.DataError):
        pgcode = "22P02"

    assert line(logging.ERROR, Refused("canary"))["sqlstate"] == "22P02"


PROGRAM = """
import logging, sys
from chalicelib import logs

class Watcher(logging.Handler):
    def emit(self, record):
        print('{"event": "watched: %s"}' % record.msg)

logs.configure(sys.argv[1], *[Watcher() for _ in sys.argv[2:]])
logger = logging.getLogger("chalicelib.worker")
logger.debug("detail")
logger.info("mine", extra={"task_id": 1})
logger.warning("loud")
logging.getLogger("botocore").info("of others")
logging.getLogger("botocore").warning("loud of others")
logger.info("metrics", extra={"_aws": {}})
"""


def of_a_process(*arguments: str) -> list[str]:
    """Return the events that a process of its own writes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(text)["event"] for text in done.stdout.splitlines()]


def test_a_whole_process_logs_in_json_from_its_level_up() -> None:
    assert of_a_process("INFO") == ["mine", "loud", "loud of others", "metrics"]
    assert of_a_process("WARNING") == ["loud", "loud of others"]


def test_a_watcher_sees_what_is_too_quiet_to_be_written_and_metrics_are_written_anyway() -> None:
    events = of_a_process("ERROR", "with a watcher")
    assert [one for one in events if not one.startswith("watched: ")] == ["metrics"]
    watched = [one.removeprefix("watched: ") for one in events if one.startswith("watched: ")]
    assert watched == ["mine", "loud", "metrics"]
