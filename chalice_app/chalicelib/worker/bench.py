"""What attempts are made with; the runtime puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chalicelib.context import Context
    from chalicelib.db import Rows, Transaction
    from chalicelib.intake import Offer
    from chalicelib.post import Post
    from chalicelib.registry import Registry
    from chalicelib.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What runs a handler, and what handlers work with.

    ``run`` calls the handler of a task. ``transaction`` begins a transaction that may take so many
    seconds; ``client`` makes the boto3 client of a service, once. ``offer`` is what follow-up tasks
    may ask for.
    """

    registry: Registry
    run: Callable[[Task, Context[Any]], Any]
    query: Callable[..., Rows]
    transaction: Callable[[float], AbstractContextManager[Transaction]]
    post: Post
    client: Callable[[str], Any]
    offer: Offer
