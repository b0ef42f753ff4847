"""What holds for a whole invocation: whose its lines are, its metrics, and that it is discreet."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from chalicelib import logs, tracing
from chalicelib.errors import BatchPartiallyFailed, ServiceError
from chalicelib.settings import tracing_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.metrics import Metrics

logger = logging.getLogger(__name__)


class Invocations:
    """The invocations of one process."""

    def __init__(self, metrics: Metrics | None) -> None:
        """Take what collects metrics, if anything does."""
        self._metrics = metrics
        self._cold = True

    @contextmanager
    def of(self, context: Any) -> Iterator[None]:
        """Let each line that is logged inside the block tell of the invocation it belongs to.

        Takes Lambda's context. The metrics of the invocation are told at the end. Raises what is
        raised inside, but a ServiceError for what is none.
        """
        facts = {
            "function": context.function_name,
            "request_id": context.aws_request_id,
            "trace_id": _trace_id(),
        }
        with logs.bound(**facts), self._metrics.invocation() if self._metrics else nullcontext():
            if self._cold:
                self._cold = False
                logger.info("cold_start")
            with _discreet():
                yield


@contextmanager
def _discreet() -> Iterator[None]:
    try:
        yield
    except BatchPartiallyFailed:
        raise  # which is how the mapping is told
    except Exception as error:
        logger.exception("invocation_failed")
        if isinstance(error, ServiceError):
            raise
        # Lambda writes the text of what is raised into the log, and it may quote a client.
        raise ServiceError from None


def _trace_id() -> str | None:
    # Lambda tells it to a process that records nothing, too.
    told = {tracing.AWS_TRACE_HEADER: tracing_header() or ""}
    return tracing.current_id() or tracing.id_of(told)
