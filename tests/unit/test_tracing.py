"""Spans: nothing when off; named, annotated and discreet when on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import tracing
from chalicelib.tracing import spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes import Heard


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
    """An open segment; ``told()`` closes it and returns what lies in it."""
    from aws_xray_sdk.core.recorder import AWSXRayRecorder

    from chalicelib.tracing.xray import XRay

    recorder, captured = AWSXRayRecorder(), Captured()
    recorder.emitter._socket.close()
    recorder.configure(
        service="tasks", sampling=False, context_missing="IGNORE_ERROR", emitter=captured
    )
    monkeypatch.setattr(spans, "_back_end", XRay(recorder))
    recorder.begin_segment("test")

    def told() -> list[dict[str, Any]]:
        recorder.end_segment()
        [entity] = captured.entities
        inside: list[dict[str, Any]] = entity.get("subsegments", [])
        return inside

    yield told
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
    assert work("claim_tasks", 7) == 8
    assert (tracing.outgoing(), tracing.current_id()) == ({}, None)
    with pytest.raises(ValueError, match="its own"):
        tracing.traced(fail, lambda: "failing")()
    assert heard.events() == ["tracing_failed"]


def test_a_name_that_cannot_be_made_fails_nothing(segment: Any) -> None:
    traced = tracing.traced(_work, lambda name, _: name[99], task_id=lambda _, number: number)
    assert traced("a", 1) == 2
    assert segment() == []
