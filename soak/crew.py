"""The processes of the soak: forked from one that has imported everything, killed and replaced."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localdev.processes import follow_forking_parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from pathlib import Path

context = multiprocessing.get_context("forkserver")


@dataclass
class Post:
    """A place in the crew: what is done there, and by which process now."""

    role: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    process: BaseProcess
    awake_at: float | None = None  # monotonic time at which a paused process goes on


@dataclass
class Crew:
    """All processes; each is called with a number of its own, made from the seed."""

    seed: int
    log: Path
    posts: list[Post] = field(default_factory=list)
    _number: int = 0
    _started: list[BaseProcess] = field(default_factory=list)

    def hire(self, role: str, target: Callable[..., None], *arguments: Any) -> Post:
        """Start ``target(number, *arguments)`` in a process, to be replaced when it is killed."""
        post = Post(role, target, arguments, self.start(role, target, *arguments))
        self.posts.append(post)
        return post

    def run(self, role: str, target: Callable[..., None], *arguments: Any) -> None:
        """Run ``target`` to its end in a process of its own. Raises RuntimeError if it fails."""
        process = self.start(role, target, *arguments)
        process.join()
        if process.exitcode:
            message = f"{role} failed:\n{self.log.read_text(errors='replace')[-4000:]}"
            raise RuntimeError(message)

    def of(self, role: str) -> list[Post]:
        """Return the places of one role."""
        return [post for post in self.posts if post.role == role]

    def kill(self, post: Post) -> None:
        """Kill -9 the process and put another in its place."""
        post.process.kill()
        post.process.join()
        self._started.remove(post.process)
        post.awake_at = None
        post.process = self.start(post.role, post.target, *post.arguments)

    def pause(self, post: Post, seconds: float) -> None:
        """Stop the process as it stands; wake() lets it go on after ``seconds``."""
        if post.process.pid is not None and post.awake_at is None:
            os.kill(post.process.pid, signal.SIGSTOP)
            post.awake_at = time.monotonic() + seconds

    def wake(self) -> None:
        """Let the paused processes go on whose time has come."""
        for post in self.posts:
            if post.awake_at is not None and time.monotonic() >= post.awake_at:
                post.awake_at = None
                if post.process.pid is not None:
                    os.kill(post.process.pid, signal.SIGCONT)

    def replace_dead(self) -> int:
        """Replace the processes that ended without being told to, and return how many did."""
        dead = [post for post in self.posts if not post.process.is_alive()]
        for post in dead:
            self.kill(post)
        return len(dead)

    def dismiss(self) -> None:
        """Kill all."""
        self.posts.clear()
        for process in self._started:
            process.kill()
        for process in self._started:
            process.join(5)

    def start(self, role: str, target: Callable[..., None], *arguments: Any) -> BaseProcess:
        """Start ``target(number, *arguments)`` in a process that nobody replaces."""
        self._number += 1
        number = self.seed * 100_000 + self._number
        process = context.Process(
            target=_begin, args=(target, number, str(self.log), arguments), name=role, daemon=True
        )
        process.start()
        self._started.append(process)
        return process


def _begin(target: Callable[..., None], number: int, log: str, arguments: tuple[Any, ...]) -> None:
    follow_forking_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    random.seed(number)  # forked, all would roll the same
    target(number, *arguments)
