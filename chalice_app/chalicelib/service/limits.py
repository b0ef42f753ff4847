"""The operators' desk for what holds the tasks of a kind back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chalicelib.errors import KindNotFound
from chalicelib.schemas import Limits

if TYPE_CHECKING:
    from collections.abc import Collection

    from chalicelib.post import Post
    from chalicelib.schemas import NewLimits
    from chalicelib.store import LimitStore

logger = logging.getLogger(__name__)

#: No count goes further.
COUNT_LIMIT = 10_000


class LimitDesk:
    """What one caller can do with the limits of kinds.

    Every method returns how they stand, and may raise KindNotFound, StoreUnavailable, Unauthorized
    and Forbidden.
    """

    def __init__(self, store: LimitStore, post: Post, kinds: Collection[str]) -> None:
        """Take the rooms below, and which kinds there are."""
        self._store = store
        self._post = post
        self._kinds = kinds

    def get(self, kind: str) -> Limits:
        """Tell what a kind may do, and how many of its tasks are held back.

        A kind that has lost its handler is there as long as something is to be told of it.
        """
        limits = self._read(kind)
        if kind not in self._kinds and not _tells(limits):
            known = ", ".join(sorted(self._kinds))
            raise KindNotFound(f"There is no kind {kind[:100]!r}; there are: {known}.")
        return limits

    def put(self, kind: str, new: NewLimits) -> Limits:
        """Set the limits of a kind; whether it is paused stays as it is."""
        return self._write(kind, limits=new.columns())

    def pause(self, kind: str) -> Limits:
        """Let no attempt of a kind begin; those that are under way end as they would."""
        return self._write(kind, paused=True)

    def resume(self, kind: str) -> Limits:
        """Let attempts of a kind begin again."""
        return self._write(kind, paused=False)

    def _write(self, kind: str, **given: Any) -> Limits:
        self.get(kind)
        self._store.write_limits(kind, **given)
        self._post.call_parked([kind])
        limits = self._read(kind)
        facts = {
            "kind": kind,
            "paused": limits.paused,
            "running": limits.running,
            "running_per_key": limits.running_per_key,
            "rate": limits.rate,
            "burst": limits.burst,
        }
        logger.info("limits_changed", extra=facts)
        return limits

    def _read(self, kind: str) -> Limits:
        row = self._store.read_limits(kind, most=COUNT_LIMIT)
        return Limits.model_validate(row | {"kind": kind, "count_limit": COUNT_LIMIT})


def _tells(limits: Limits) -> bool:
    return any(limits.model_dump(exclude={"kind", "count_limit"}).values())
