"""What a function's reply says of each message of its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def failed_messages(reply: Any, message_ids: Collection[str]) -> frozenset[str]:
    """Return the ids of the messages to keep, by the rules of ReportBatchItemFailures.

    Nothing, an empty object and an empty or null list are success; whatever is malformed or
    names a message that was not in the batch means that the whole batch failed.
    """
    everything = frozenset(message_ids)
    if reply is None or reply == {}:
        return frozenset()
    if not isinstance(reply, dict):
        return everything
    items = reply.get("batchItemFailures")
    if items is None:
        return frozenset()
    if not isinstance(items, list):
        return everything
    named = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) and name in everything for name in named):
        return everything
    return frozenset(name for name in named if name)
