"""Tracing costs nothing when off, and fails nothing when on; tests/contract has the rest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import tracing
from chalicelib.tracing import spans

if TYPE_CHECKING:
    from tests.fakes import Heard


X_RAYS = "1-5759e988-bd862e3fe1be46a994272793"
W3CS = "0af7651916cd43dd8448eb211c80319c"


def _python(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_neither_tracing_nor_aws_is_imported_before_it_is_needed() -> None:
    _python(
        "import sys, app\n"
        "from chalicelib import runtime\n"
        "runtime.current()\n"
        "late = {'aws_xray_sdk', 'boto3', 'botocore', 'opentelemetry', 'wrapt'}\n"
        "assert not late & set(sys.modules), late & set(sys.modules)"
    )


@pytest.mark.parametrize("where", ["xray", "otel"])
def test_switched_on_a_process_records_without_a_daemon_or_a_collector(where: str) -> None:
    _python(
        "from chalicelib import tracing\n"
        f"tracing.enable({where!r}, patience=0.1)\n"
        "work = tracing.traced(lambda a: a + 1, lambda a: 'span', n=lambda a: a)\n"
        "told = tracing.Invocation(function='worker', name='worker')\n"
        "assert tracing.observe(lambda: work(1), lambda: told) == 2"
    )


def test_boto3_is_not_imported_by_switching_on_in_lambda() -> None:
    """A worker that needs it not pays nothing for it."""
    _python(
        "import os, sys\n"
        "os.environ['LAMBDA_TASK_ROOT'] = '/var/task'\n"
        "from chalicelib import tracing\n"
        "tracing.enable('xray', patience=1)\n"
        "assert 'aws_xray_sdk' in sys.modules\n"
        "assert not {'boto3', 'botocore'} & set(sys.modules)"
    )


def test_without_its_packages_opentelemetry_is_refused_with_what_to_do() -> None:
    _python(
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from chalicelib import errors, tracing\n"
        "try:\n"
        "    tracing.enable('otel', patience=1)\n"
        "except errors.InvalidSettings as error:\n"
        "    assert 'requirements-otel.txt' in str(error), error\n"
        "else:\n"
        "    raise AssertionError"
    )


def _work(_name: str, number: int, /) -> int:
    return number + 1


class Broken:
    """A back end of which nothing works."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise RuntimeError(name)

        return fail


class HalfBroken(Broken):
    """One that opens spans and cannot close them."""

    def start(self, *_: Any) -> object:
        return object()

    resume = start


@pytest.mark.parametrize("back_end", [Broken(), HalfBroken()])
def test_a_back_end_that_fails_fails_nothing_but_itself_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, heard: Heard, back_end: Any
) -> None:
    monkeypatch.setattr(spans, "_back_end", back_end)
    monkeypatch.setattr(spans, "_failed", False)

    def fail() -> None:
        raise ValueError("its own")

    work = tracing.linked(tracing.traced(_work, lambda name, _: name), lambda *_: {"a": "b"})
    told = tracing.Invocation(function="worker", name="worker")
    assert tracing.observe(lambda: work("claim_tasks", 7), lambda: told) == 8
    assert (tracing.outgoing(), tracing.current_id()) == ({}, None)
    with pytest.raises(ValueError, match="its own"):
        tracing.traced(fail, lambda: "failing")()
    assert heard.events() == ["tracing_failed"]


def test_a_name_that_cannot_be_made_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(spans, "_back_end", HalfBroken())
    monkeypatch.setattr(spans, "_failed", False)
    assert tracing.traced(_work, lambda name, _: name[99])("a", 1) == 2
    assert heard.events() == ["tracing_failed"]


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({}, None),
        ({"AWSTraceHeader": f"Root={X_RAYS};Parent=53995c3f42cd8ad8;Sampled=1"}, X_RAYS),
        ({"AWSTraceHeader": f"Self=1-2-3; Root={X_RAYS};Lineage=a:0"}, X_RAYS),
        ({"AWSTraceHeader": "Root=1-2"}, None),
        ({"AWSTraceHeader": X_RAYS}, None),
        ({"AWSTraceHeader": f"Root=1-00000000-{'0' * 24}"}, None),
        ({"traceparent": f"00-{W3CS}-53995c3f42cd8ad8-01"}, W3CS),
        ({"traceparent": f"cc-{W3CS}-53995c3f42cd8ad8-01-more"}, W3CS),
        ({"traceparent": f"00-{'0' * 32}-53995c3f42cd8ad8-01"}, None),
        ({"traceparent": "x", "AWSTraceHeader": f"Root={X_RAYS}"}, X_RAYS),
        ({"traceparent": f"00-{W3CS}-53995c3f42cd8ad8-00", "AWSTraceHeader": "Root=1-2"}, W3CS),
    ],
)
def test_headers_name_a_trace_by_its_id_or_none(headers: dict[str, str], trace: str | None) -> None:
    assert tracing.id_of(headers) == trace
