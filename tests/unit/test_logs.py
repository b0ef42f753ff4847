"""Log lines: one JSON object each, and no text that a client or the database wrote."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import psycopg2
import pytest

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
    assert told == {"level": "INFO", "event": "task_started", "task_id": 7, "code": None}


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


def test_a_database_error_tells_its_sqlstate() -> None:
    class Refused(psycopg2.DataError):
        pgcode = "22P02"

    assert line(logging.ERROR, Refused("canary"))["sqlstate"] == "22P02"


def test_a_whole_process_logs_in_json(tmp_path: Any) -> None:
    import subprocess

    code = (
        "import logging; from chalicelib import logs; logs.configure('INFO');"
        "logging.getLogger('chalicelib.worker').info('mine', extra={'task_id': 1});"
        "logging.getLogger('chalicelib.worker').debug('too quiet');"
        "logging.getLogger('botocore').info('of others');"
        "logging.getLogger('botocore').warning('loud')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    events = [json.loads(text)["event"] for text in done.stdout.splitlines()]
    assert events == ["mine", "loud"]
