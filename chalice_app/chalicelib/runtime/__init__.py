"""Builds the service from its parts; the only room that knows all of them.

Here is the runtime of this process; ``build`` puts one together, ``aws`` makes what speaks to AWS.
"""

from __future__ import annotations

import gc
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib import logs, tracing
from chalicelib.runtime.build import Runtime
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Runtime", "current", "observed"]


@lru_cache(maxsize=1)
def current() -> Runtime:
    """Return the runtime of this process, built from the environment once."""
    settings = Settings.from_env()
    # A process restored from a snapshot would roll the same dice as all its copies: what was
    # imported into the snapshot has one state, and this is the first that runs after it.
    random.seed()
    if settings.tracing != "off":
        tracing.enable(settings.tracing, patience=settings.tracing_patience)
    runtime = Runtime(settings)
    logs.configure(settings.log_level, *([runtime.metrics] if runtime.metrics else []))
    # What there is by now stays as long as the process: no collection need look at it again.
    gc.freeze()
    return runtime


def observed(
    event: Any, respond: Callable[[Any], Any], describe: Callable[[Any], tracing.Invocation]
) -> Any:
    """Return what ``respond`` answers to an event; that is one trace, and one invocation."""
    runtime = current()  # which switches tracing on

    def answer() -> Any:
        with runtime.invocations.of(getattr(event, "lambda_context", None) or event.context):
            return respond(event)

    return tracing.observe(answer, lambda: describe(event))
