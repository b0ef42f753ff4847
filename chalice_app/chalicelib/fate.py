"""What becomes of each message of a batch, by how its task stands.

no such task, completed, cancelled    deleted
failed, or unreadable                 kept, seen again at once, until SQS dead-letters it
waiting, or worked by somebody else   kept, seen again when the task is due or the lease over

A receive cannot be refunded: on a message's last one only failed and unreadable messages are
kept. Any other is deleted, and the task's row is to be marked as having no message.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.errors import BatchPartiallyFailed, QueueUnavailable
from chalicelib.queue import MAX_HIDDEN
from chalicelib.task import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.queue import Message, TaskQueue
    from chalicelib.settings import Settings

logger = logging.getLogger(__name__)


class Fates:
    """Collects the fates of one batch's messages, then carries them out."""

    def __init__(self, queue: TaskQueue, settings: Settings) -> None:
        """Begin with no message decided."""
        self._queue = queue
        self._settings = settings
        self._done: list[Message] = []
        self._hidden: list[tuple[Message, float]] = []
        self._left: list[Message] = []  # kept, and nothing more to tell the queue
        self._buried: list[Message] = []
        #: Ids of waiting tasks whose message is given up here.
        self.unsent: list[int] = []

    def can_wait(self, message: Message, seconds: float) -> bool:
        """Whether the message may come back after ``seconds`` and still be received."""
        last = message.receive_count >= self._settings.max_receive_count
        return not last and seconds <= MAX_HIDDEN

    def decide(self, message: Message, status: Status | None, wait: float) -> None:
        """Choose by the task's status (None: no such task) and its wait in seconds."""
        match status:
            case None | Status.COMPLETED | Status.CANCELLED:
                self.done(message)
            case Status.FAILED:
                self.dead(message)
            case Status.PENDING | Status.RETRYING | Status.PROCESSING:
                if self.can_wait(message, wait):
                    self._hidden.append((message, wait))
                    return
                self.done(message)
                if status is not Status.PROCESSING:
                    self.unsent.append(message.task_id)
            case _:
                assert_never(status)

    def done(self, message: Message) -> None:
        """Nothing more is to come of this message."""
        self._done.append(message)

    def leave(self, message: Message) -> None:
        """Nobody knows how its task stands: the visibility timeout brings it back."""
        self._left.append(message)

    def dead(self, message: Message) -> None:
        """For the dead-letter queue: SQS moves it there, or we do if SQS should have by now."""
        if message.receive_count > self._settings.max_receive_count:
            self._buried.append(message)
        else:
            self._hidden.append((message, 0))

    def tell(self) -> None:
        """Hide and bury what was decided so far; a worker that dies later cannot any more."""
        if not _managed(self._queue.bury, self._buried):
            self._left += self._buried
        _managed(self._queue.hide, self._hidden)
        self._left = [message for message, _ in self._hidden] + self._left
        self._buried, self._hidden = [], []

    def carry_out(self) -> dict[str, Any]:
        """Hide and bury, and return what Lambda is to be told about the batch.

        Raises BatchPartiallyFailed where the mapping does not read that answer: what is done is
        deleted first, and the exception keeps the rest.
        """
        self.tell()
        kept = [message.id for message in self._left]
        if kept and self._settings.partial_batch == "delete":
            _managed(self._queue.delete, self._done)
            raise BatchPartiallyFailed(f"{len(kept)} messages are left on the queue.", kept=kept)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in kept]}


def _managed(act: Callable[[list[Any]], None], messages: list[Any]) -> bool:
    # What SQS was not told is not lost: the visibility timeout brings the messages back.
    try:
        act(messages)
    except QueueUnavailable as error:
        logger.warning("queue_not_told", exc_info=error, extra={"messages": len(messages)})
        return False
    return True
