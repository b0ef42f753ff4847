"""The queues that tasks go by, and their dead-letter queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.errors import QueueUnavailable
from chalicelib.queue.sqs import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from chalicelib.queue.message import Letter, Message

_Item = TypeVar("_Item")


class TaskQueue:
    """The queue of tasks, or two of them; ``letters`` is the dead-letter queue of both.

    Tasks of high priority have the second, so that no backlog is before them. Where there is
    none, theirs are sent as all others. Every method may be called by any thread and may raise
    QueueUnavailable.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        name: str,
        dead_letter_name: str,
        *,
        high_name: str = "",
        headers: Callable[[], Mapping[str, str]] = dict,
        fair: bool = False,
    ) -> None:
        """Take what Queue takes, and the queues' names; ``high_name``: empty if there is none."""
        self._normal = Queue(client, name, headers=headers, fair=fair)
        self._high = Queue(client, high_name, headers=headers, fair=fair) if high_name else None
        self._high_name = high_name
        self.letters = Queue(client, dead_letter_name, headers=headers)

    def send(self, letters: Sequence[Letter]) -> None:
        """Send every letter by the queue of its priority; raises as Queue.send does."""
        errors = []
        for queue, some in self._sorted(letters, lambda letter: letter.priority == "high"):
            try:
                queue.send(some)
            except QueueUnavailable as error:
                errors.append(error)
        if errors:
            unsent = sorted(one for error in errors for one in error.context["unsent"])
            raise QueueUnavailable(str(errors[0]), unsent=unsent) from errors[0].__cause__

    def hide(self, messages: Iterable[tuple[Message, float]]) -> None:
        """Hide each message on the queue that it came from, see Queue.hide."""
        for queue, some in self._sorted(messages, lambda one: self._is_high(one[0])):
            queue.hide(some)

    def delete(self, messages: Iterable[Message]) -> None:
        """Delete each message from the queue that it came from."""
        for queue, some in self._sorted(messages, self._is_high):
            queue.delete(some)

    def bury(self, messages: Sequence[Message]) -> None:
        """Move each message to the dead-letter queue ourselves."""
        for message in messages:
            self.letters.put(message.body)
            self.delete([message])

    def depth(self) -> int:
        """Return about how many messages there are on both: visible, in flight and delayed."""
        return self._normal.depth() + (self._high.depth() if self._high else 0)

    def _is_high(self, message: Message) -> bool:
        return message.queue == self._high_name

    def _sorted(
        self, items: Iterable[_Item], is_high: Callable[[_Item], bool]
    ) -> Iterator[tuple[Queue, list[_Item]]]:
        high: list[_Item] = []
        normal: list[_Item] = []
        for item in items:
            (high if self._high and is_high(item) else normal).append(item)
        if self._high and high:
            yield self._high, high
        if normal:
            yield self._normal, normal
