"""Spans behind a small face: off, it imports nothing and costs one comparison."""

from __future__ import annotations

import functools
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
            return function(*args, **kwargs)

    return wrapper
