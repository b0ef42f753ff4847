"""One soak from start to report."""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from soak import clients, oracle, scene
from soak.chaos import Chaos
from soak.crew import context
from soak.oracle import Finding
from soak.report import Report
from soak.scale import ATTEMPT_LIMIT, Times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soak.options import Options
    from soak.scene import Scene

SHORTEST_POSTING = 6.0  # seconds: in less, faults would find nothing to harm
PROGRESS = 3.0  # seconds between two lines
APIS = 2
MOST_OPEN = 3000  # tasks: with more, clients wait, so that faults go on as long as the work
MOST_EMPTY = 3  # answers in a row without a dead letter, before none is taken to be left


_STATE = """
select count(*) filter (where status in ('pending', 'processing', 'retrying')),
       count(*) filter (where status = 'failed'),
       (select coalesce(max(id), 0) from moves)
  from tasks
"""


@dataclass(frozen=True)
class State:
    """Tasks that are open or failed, messages, dead letters and moves so far; -1 is unknown."""

    open: int
    messages: int
    failed: int
    letters: int
    moves: int

    @property
    def quiet(self) -> bool:
        """Whether nothing more is to come."""
        return self.open == self.messages == 0


class Soak:
    """A soak under way."""

    def __init__(self, options: Options, stage: Scene, folder: Path, times: Times) -> None:
        """Take the servers; the crew comes with run()."""
        self._options = options
        self._scene = stage
        self._folder = folder
        self._times = times
        self._chaos = Chaos(stage, times, random.Random(options.seed))
        self._begun = self._told = time.monotonic()
        self._hold = context.Value("l", 0)
        self._died = 0

    def run(self) -> Report:
        """Let the crew work under faults until all was posted, then wait and judge."""
        self._hire()
        posting = self._post()
        quieting = self._wait_until_quiet()
        return self._judge(posting, quieting)

    def _hire(self) -> None:
        algorithm = importlib.import_module(f"soak.{self._options.algorithm}")
        crew = self._scene.crew
        crew.run("prepare", algorithm.prepare)
        self._scene.witness()
        for _ in range(APIS):
            crew.hire("api", algorithm.api, self._scene.listener)
        for _ in range(self._options.workers):
            crew.hire("worker", algorithm.worker)
        if hasattr(algorithm, "sweeper"):
            crew.hire("sweeper", algorithm.sweeper, self._times.tick)

    def _post(self) -> float:
        begun = time.monotonic()
        tasks = self._options.tasks
        whole = bool(self._scene.crew.of("sweeper"))
        rate = tasks / SHORTEST_POSTING
        plan = clients.Plan(tasks, rate, self._folder, whole, self._options.seed, self._hold)
        process = self._scene.crew.start("clients", clients.post_all, self._scene.port, plan)
        self._chaos.begin()
        while process.is_alive() or self._chaos.untried():
            self._chaos.next()
            self._died += self._scene.crew.replace_dead()
            self._progress("posting")
        self._chaos.end()
        if process.exitcode:
            raise RuntimeError(f"the clients failed; see {self._scene.crew.log}")
        return time.monotonic() - begun

    def _wait_until_quiet(self) -> float:
        begun = changed = time.monotonic()
        before: State | None = None
        while True:
            self._scene.crew.wake()
            self._died += self._scene.crew.replace_dead()
            self._progress("waiting until quiet")
            state = self._state()
            if state.quiet and (state.letters == state.failed or not self._options.judge_letters):
                break
            if state != before:
                before, changed = state, time.monotonic()
            if time.monotonic() - changed > self._patience(state):
                break
            time.sleep(0.2)
        return time.monotonic() - begun

    def _patience(self, state: State) -> float:
        # No wait that is still to end can be longer.
        if self._scene.crew.of("sweeper"):
            return 2 * self._times.dispatch_grace_max + 60
        return 6 * self._times.worker_timeout + 3 if state.messages else 3

    def _progress(self, what: str) -> None:
        if time.monotonic() - self._told < PROGRESS:
            return
        self._told = time.monotonic()
        ids = clients.read_answers(self._folder).ids
        self._chaos.newest = max(ids, default=1)
        state = self._state()
        self._hold.value = state.open > MOST_OPEN
        _say(
            f"{self._told - self._begun:6.0f} s  {what}: {len(ids)} acknowledged, "
            f"{state.open} open, {state.messages} messages, "
            f"{self._chaos.faults.total()} faults"
        )

    def _state(self) -> State:
        with contextlib.suppress(psycopg2.Error):
            [(waiting, failed, moves)] = self._scene.query(_STATE)
            return State(waiting, self._scene.depth(), failed, self._scene.letters(), moves)
        return State(-1, -1, -1, -1, -1)

    def _judge(self, posting: float, quieting: float) -> Report:
        stage, options = self._scene, self._options
        answers = clients.read_answers(self._folder)
        letters = oracle.compare_letters(stage.query, _letters(stage))
        findings = [
            *oracle.judge(stage.query, answers.ids, answers.cancelled, ATTEMPT_LIMIT),
            Finding(oracle.DRAINED, stage.depth()),
            Finding(oracle.ALIVE, self._died),
        ]
        if options.judge_letters:
            findings.append(Finding(oracle.LETTERS, letters.wrong))
        return Report(
            algorithm=options.algorithm,
            tasks=options.tasks,
            seed=options.seed,
            times=self._times,
            posting=posting,
            quieting=quieting,
            total=time.monotonic() - self._begun,
            faults=dict(self._chaos.faults.most_common()),
            answers=answers.statuses,
            slowest=answers.slowest,
            tally=oracle.tally(stage.query, answers.ids),
            letters=letters,
            findings=findings,
        )


def soak(options: Options) -> Report:
    """Run a soak and return its report; nothing it started is left when it ends."""
    times = Times.scaled(options.factor)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_folder(options.data))
        _say(f"soak of {options.tasks} tasks, algorithm {options.algorithm}, in {folder}")
        try:
            stage = scene.start(stack, folder, times, options)
            return Soak(options, stage, folder, times).run()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # what was begun is cleared away


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    folder = data or Path(tempfile.mkdtemp(prefix="tasks-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("answers.*"), *folder.glob("processes.log")):
        old.unlink()
    folder.chmod(0o755)  # as root, PostgreSQL runs as nobody
    try:
        yield folder
    finally:
        # A server that was interrupted while it started may still be writing.
        deadline = time.monotonic() + 5
        while data is None and folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)


def _letters(stage: Scene) -> list[int]:
    """Read the dead-letter queue; an empty answer does not yet mean that it is empty."""
    bodies: dict[str, str] = {}
    empty = 0
    while empty < MOST_EMPTY:
        answer = stage.sqs.receive_message(
            QueueUrl=stage.queues.dead_letter_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=3600,
            WaitTimeSeconds=1,
        )
        messages = answer.get("Messages", [])
        bodies |= {message["MessageId"]: message["Body"] for message in messages}
        empty = 0 if messages else empty + 1
    return [int(json.loads(body)["task_id"]) for body in bodies.values()]


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  (how a command speaks)
