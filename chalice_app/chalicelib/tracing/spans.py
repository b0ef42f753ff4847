"""Wraps what is to be seen of a trace, and hands it to the back end that is switched on."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, Self, TypeVar, assert_never

from chalicelib.errors import InvalidSettings, Snooze, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

#: What steers the worker and tells of no failure.
_HARMLESS = (Snooze, Stopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of a Lambda function: what it is about, and the trace headers of its client."""

    function: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)


class BackEnd(Protocol):
    """Where spans go. Whatever a method raises is dropped: no task fails for its trace.

    A span is what the back end likes it to be; None stands for one that is not recorded.
    """

    def begin(self, invocation: Invocation) -> Any:
        """Open a span of a whole invocation, if the back end has to."""

    def start(self, name: str, notes: Mapping[str, str | int]) -> Any:
        """Open a span in the current one and make it the current one; None if there is none."""

    def call(self, service: str, operation: str, region: str) -> Any:
        """Do so for a call of an AWS service."""

    def resume(self, headers: Mapping[str, str]) -> Any:
        """Open a span of this function in the trace that ``headers`` name, as its sender did.

        Not recorded if the sender is not. None, and nothing changes, if they name no trace.
        """

    def answer(self, span: Any, status: int) -> None:
        """Note the HTTP status that an invocation ended with."""

    def close(self, span: Any, error: BaseException | None) -> None:
        """Close a span, and make current what was so before; ``error`` is what it ended with."""

    def flush(self) -> None:
        """Send what is recorded: an invocation ends, and the process may be frozen."""

    def outgoing(self) -> Mapping[str, str]:
        """Return the headers that name the current span."""

    def current_id(self) -> str | None:
        """Return the id of the current trace."""


_back_end: BackEnd | None = None
_failed = False


def enable(where: Literal["xray", "otel"], *, patience: float) -> None:
    """Record spans from here on, with AWS X-Ray or OpenTelemetry; boto3's calls become spans too.

    ``patience`` is how many seconds an invocation may wait, at its end, for OpenTelemetry's
    collector. Raises InvalidSettings where the packages for that are not installed.
    """
    global _back_end  # noqa: PLW0603  (one switch per process)
    from chalicelib.tracing import aws  # noqa: PLC0415  (only when on)

    _back_end = _made(where, patience)
    aws.watch()


def _made(where: Literal["xray", "otel"], patience: float) -> BackEnd:
    match where:
        case "xray":
            from chalicelib.tracing.xray import XRay  # noqa: PLC0415

            return XRay()
        case "otel":
            try:
                from chalicelib.tracing import otel  # noqa: PLC0415
            except ModuleNotFoundError as error:
                raise InvalidSettings(
                    f"TRACING=otel needs the packages of requirements-otel.txt; there is no "
                    f"{error.name}."
                ) from error
            return otel.connected(patience)
        case _:
            assert_never(where)


def observe(respond: Callable[[], R], describe: Callable[[], Invocation]) -> R:
    """Return what ``respond`` does for the invocation that ``describe`` tells, and send its spans.

    An answer with a ``status_code`` from 500 up is a failure.
    """
    if _back_end is None:
        return respond()
    back_end = _back_end
    try:
        with _Open(back_end, lambda back_end: back_end.begin(describe())) as span:
            answer = respond()
            span.answered(getattr(answer, "status_code", None))
            return answer
    finally:
        _quietly(back_end.flush)


def traced(
    function: Callable[P, R],
    name: Callable[P, str],
    **notes: Callable[P, str | int],
) -> Callable[P, R]:
    """Wrap ``function`` in a span, named and annotated from the arguments of each call."""

    def start(back_end: BackEnd, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        told = {key: note(*args, **kwargs) for key, note in notes.items()}
        return back_end.start(name(*args, **kwargs), told)

    return spanned(function, start)


def linked(function: Callable[P, R], headers: Callable[P, Mapping[str, str]]) -> Callable[P, R]:
    """Let each call of ``function`` belong to the trace that its headers name, if they name one."""

    def resume(back_end: BackEnd, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return back_end.resume(headers(*args, **kwargs))

    return spanned(function, resume)


def spanned(function: Callable[P, R], opening: Callable[..., Any]) -> Callable[P, R]:
    """Wrap ``function`` in what ``opening``, given the back end and the arguments, opens."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if _back_end is None:
            return function(*args, **kwargs)
        with _Open(_back_end, lambda back_end: opening(back_end, *args, **kwargs)):
            return function(*args, **kwargs)

    return wrapper


def outgoing() -> Mapping[str, str]:
    """Return the headers, by name, that hand the current trace on; none if there is none."""
    return {} if _back_end is None else _quietly(_back_end.outgoing) or {}


def current_id() -> str | None:
    """Return the id of the current trace, as its back end shows it."""
    return None if _back_end is None else _quietly(_back_end.current_id)


class _Open:
    """A span for as long as a ``with`` lasts."""

    def __init__(self, back_end: BackEnd, opening: Callable[[BackEnd], Any]) -> None:
        self._back_end = back_end
        self._opening = opening

    def __enter__(self) -> Self:
        self._span = _quietly(lambda: self._opening(self._back_end))
        return self

    def answered(self, status: int | None) -> None:
        if self._span is not None and status is not None:
            _quietly(lambda: self._back_end.answer(self._span, status))

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        failure = None if isinstance(error, _HARMLESS) else error
        if self._span is not None:
            _quietly(lambda: self._back_end.close(self._span, failure))


def _quietly(act: Callable[[], R]) -> R | None:
    global _failed  # noqa: PLW0603  (told once, not with every span)
    try:
        return act()
    except Exception:
        if not _failed:
            _failed = True
            logger.warning("tracing_failed", exc_info=True)
        return None
