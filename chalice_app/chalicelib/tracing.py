"""Spans behind a small face: off, it imports nothing and costs one comparison."""

from __future__ import annotations

import functools
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_recorder: Any = None


def enable() -> None:
    """Record spans with AWS X-Ray from here on; boto3's calls become spans too."""
    global _recorder  # noqa: PLW0603  (one switch per process)
    from aws_xray_sdk.core import patch, xray_recorder  # noqa: PLC0415  (72 ms, only when on)

    xray_recorder.configure(service="tasks", context_missing="IGNORE_ERROR")
    patch(("botocore",), raise_errors=False)
    _recorder = xray_recorder


def traced(
    function: Callable[P, R],
    name: Callable[P, str],
    **annotations: Callable[P, str | int],
) -> Callable[P, R]:
    """Wrap ``function`` in a span, named and annotated from the arguments of each call."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if _recorder is None:
            return function(*args, **kwargs)
        with _recorder.in_subsegment(name(*args, **kwargs)) as span:
            for key, value in annotations.items():
                if span is not None:
                    span.put_annotation(key, value(*args, **kwargs))
            try:
                return function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  (raised again below)
                failure = error
                if span is not None:
                    span.add_exception(_silent(error), extract_tb(error.__traceback__))
        # From outside of the span, which would keep the text: it may quote what a client sent.
        raise failure

    return wrapper


def _silent(error: BaseException) -> Exception:
    silent: Exception = type(type(error).__name__, (Exception,), {})()
    return silent
