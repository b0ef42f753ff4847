"""Spans: nothing when off; named, annotated and discreet when on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        "assert not {'aws_xray_sdk', 'boto3', 'botocore'} & set(sys.modules), sys.modules.keys()"
    )


def test_switched_on_a_process_records_without_a_segment_or_a_daemon() -> None:
    _python(
        "from chalicelib import tracing\n"
        "tracing.enable()\n"
        "assert tracing.traced(lambda a: a + 1, lambda a: 'span', n=lambda a: a)(1) == 2"
    )


class Captured:
    """Takes what would go to the X-Ray daemon."""

    def __init__(self) -> None:
        self.entities: list[dict[str, Any]] = []

    def send_entity(self, entity: Any) -> None:
        self.entities.append(entity.to_dict())


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An open segment; ``spans()`` closes it and returns what lies in it."""
    from aws_xray_sdk.core.recorder import AWSXRayRecorder

    recorder, captured = AWSXRayRecorder(), Captured()
    recorder.emitter._socket.close()
    recorder.configure(
        service="tasks", sampling=False, context_missing="IGNORE_ERROR", emitter=captured
    )
    monkeypatch.setattr(tracing, "_recorder", recorder)
    recorder.begin_segment("test")

    def spans() -> list[dict[str, Any]]:
        recorder.end_segment()
        [entity] = captured.entities
        inside: list[dict[str, Any]] = entity.get("subsegments", [])
        return inside

    yield spans
    recorder.clear_trace_entities()


def _work(_name: str, number: int, /) -> int:
    return number + 1


def test_a_span_is_named_and_annotated_from_its_arguments(segment: Any) -> None:
    traced = tracing.traced(_work, lambda name, _: name, task_id=lambda _, number: number)
    assert traced("claim_tasks", 7) == 8
    [span] = segment()
    assert (span["name"], span["annotations"]) == ("claim_tasks", {"task_id": 7})


def test_spans_lie_in_one_another_as_the_calls_do(segment: Any) -> None:
    inner = tracing.traced(lambda: 1, lambda: "inner")
    assert tracing.traced(lambda: inner() + 1, lambda: "outer")() == 2
    [outer] = segment()
    assert [span["name"] for span in outer["subsegments"]] == ["inner"]


def test_an_exception_passes_through_and_its_span_tells_its_name_but_not_its_text(
    segment: Any,
) -> None:
    def fail() -> None:
        raise ValueError("canary")

    with pytest.raises(ValueError, match="canary"):
        tracing.traced(fail, lambda: "failing")()
    [span] = segment()
    assert span["fault"] is True
    assert "ValueError" in str(span)
    assert "canary" not in str(span)


def test_without_a_segment_a_traced_function_simply_runs(
    segment: Any,
) -> None:
    segment()
    assert tracing.traced(_work, lambda name, _: name, n=lambda _, number: number)("a", 1) == 2
