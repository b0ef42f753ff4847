"""What the HTTP API can do.

``tasks`` is the desk that serves one caller; ``posting`` hands tasks to the queue, ``paging`` cuts
lists into pages, ``waiting`` waits for a task to change, ``attempts`` tells of a task's attempts,
``stats`` of all tasks.
``keys`` makes and ends keys, ``kinds`` knows what may be asked of the handlers.
"""

from __future__ import annotations

from chalicelib.service.keys import KeyService
from chalicelib.service.kinds import kinds_of
from chalicelib.service.posting import Post
from chalicelib.service.tasks import TaskService

__all__ = ["KeyService", "Post", "TaskService", "kinds_of"]
