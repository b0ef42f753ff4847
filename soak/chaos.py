"""The faults: which, when and to whom is rolled by one seeded generator."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from soak.scale import Times
    from soak.scene import Scene

LEAST, MOST = 0.1, 0.4  # seconds between two faults
LONGEST_OUTAGE = 2.0  # seconds that SQS is out of reach
AGAIN = 0.3  # how often a kind of fault that harmed nothing so far is tried again
COPIES = 10  # messages sent again at once

_TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity
 where backend_type = 'client backend' and application_name not like 'soak%%' and pid = %(pid)s
"""
_NO_LIMITS = {"paused": False, "running": None, "per_key": None, "rate": None, "burst": None}
#: What an operator may try at three in the morning.
LIMITS: tuple[dict[str, float], ...] = (
    {},
    {"paused": True},
    {"running": 20},
    {"per_key": 30},
    # A promise stands when the limit is lifted, and so a run lasts as long as its longest line.
    {"rate": 100.0, "burst": 50},
    {"running": 40, "rate": 200.0, "burst": 100},
)
_LIMITED = """
insert into kind_limits (kind, paused, running, running_per_key, rate, burst)
values ('soak', %(paused)s, %(running)s, %(per_key)s, %(rate)s, %(burst)s)
    on conflict (kind) do update
   set paused = excluded.paused, running = excluded.running, rate = excluded.rate,
       running_per_key = excluded.running_per_key, burst = excluded.burst
"""
_UNLIMITED = """
update kind_limits
   set paused = false, running = null, running_per_key = null, rate = null, burst = null
"""
_BACKENDS = """
select pid from pg_stat_activity
 where backend_type = 'client backend' and application_name not like 'soak%'
"""


@dataclass
class Chaos:
    """Commits one fault at a time; ``faults`` counts them, each once it was done."""

    scene: Scene
    times: Times
    dice: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    sqs_back_at: float = 0.0  # monotonic
    tried: set[str] = field(default_factory=set)
    newest: int = 1  # an id of a task that was acknowledged lately

    def kinds(self) -> dict[str, tuple[int, Callable[[], int]]]:
        """Return each kind of fault with its weight, and what commits it."""
        kill = self._kill
        kinds: dict[str, tuple[int, Callable[[], int]]] = {
            "worker killed (kill -9)": (40, lambda: kill("worker")),
            "sweeper killed (kill -9)": (6, lambda: kill("sweeper")),
            "API process killed (kill -9)": (6, lambda: kill("api")),
            "worker paused beyond its lease (SIGSTOP)": (2, self._pause),
            "database connection terminated": (12, self._terminate),
            "messages sent again, late and out of order": (14, self._copy),
            "messages taken and let go, out of order": (5, self._shuffle),
            "whole queue purged": (1, self._purge),
            "SQS out of reach for a while": (2, self._isolate),
            "PostgreSQL stopped (immediate) and started": (2, self._crash),
            "limits of the kind changed": (6, self._limit),
        }
        if not self.scene.crew.of("sweeper"):  # the plain algorithm: it knows no limits, either
            del kinds["sweeper killed (kill -9)"], kinds["limits of the kind changed"]
        return kinds

    def begin(self) -> None:
        """Begin to cut replies; the other faults are asked for one by one."""
        for route in (self.scene.to_sqs, self.scene.to_postgres):
            route.cutting.value = 1

    def end(self) -> None:
        """Cut no more replies and count those that were cut."""
        for route in (self.scene.to_sqs, self.scene.to_postgres):
            route.cutting.value = 0
        self.scene.to_sqs.down.value = 0
        if self.faults["limits of the kind changed"]:
            self.scene.query(_UNLIMITED)
        self.faults["reply of SQS cut"] = self.scene.to_sqs.cuts.value
        self.faults["reply of PostgreSQL cut"] = self.scene.to_postgres.cuts.value

    def next(self) -> None:
        """Wait a while, then commit a fault; what harmed nothing so far is preferred."""
        time.sleep(self.dice.uniform(LEAST, MOST))
        self.scene.crew.wake()
        if time.monotonic() > self.sqs_back_at:
            self.scene.to_sqs.down.value = 0
        kinds = self.kinds()
        harmless = [name for name in kinds if not self.faults[name]]
        again = harmless and (self.untried() or self.dice.random() < AGAIN)
        names = harmless if again else list(kinds)
        name = self.dice.choices(names, [kinds[name][0] for name in names])[0]
        self.tried.add(name)
        with contextlib.suppress(psycopg2.Error, BotoCoreError, ClientError):
            self.faults[name] += kinds[name][1]()

    def untried(self) -> bool:
        """Tell whether there is a kind of fault that was not tried so far."""
        return not self.tried.issuperset(self.kinds())

    def _limit(self) -> int:
        self.scene.query(_LIMITED, **(_NO_LIMITS | self.dice.choice(LIMITS)))
        return 1

    def _kill(self, role: str) -> int:
        self.scene.crew.kill(self.dice.choice(self.scene.crew.of(role)))
        return 1

    def _pause(self) -> int:
        lease = self.times.worker_timeout + self.times.zombie
        self.scene.crew.pause(self.dice.choice(self.scene.crew.of("worker")), lease)
        return 1

    def _terminate(self) -> int:
        pids = sorted(row[0] for row in self.scene.query(_BACKENDS))
        if not pids:
            return 0
        return len(self.scene.query(_TERMINATE, pid=self.dice.choice(pids)))

    def _copy(self) -> int:
        # Of any task so far, most of them of late: finished, running, waiting.
        oldest = max(1, self.newest - 200)
        ids = [self.dice.randint(oldest, self.newest) for _ in range(COPIES - 2)]
        ids += [self.dice.randint(1, self.newest) for _ in range(2)]
        entries = [
            {
                "Id": str(number),
                "MessageBody": json.dumps({"task_id": id_, "title": "again", "description": None}),
                "DelaySeconds": self.dice.randint(0, 3),
            }
            for number, id_ in enumerate(ids)
        ]
        self.scene.sqs.send_message_batch(QueueUrl=self.scene.queues.url, Entries=entries)
        return len(entries)

    def _shuffle(self) -> int:
        url = self.scene.queues.url
        answer = self.scene.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        messages = answer.get("Messages", [])
        self.dice.shuffle(messages)
        entries = [
            {
                "Id": str(number),
                "ReceiptHandle": message["ReceiptHandle"],
                "VisibilityTimeout": self.dice.randint(0, 3),
            }
            for number, message in enumerate(messages)
        ]
        if entries:
            self.scene.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        return len(entries)

    def _purge(self) -> int:
        lost = self.scene.depth()
        self.scene.sqs.purge_queue(QueueUrl=self.scene.queues.url)
        self.faults["messages lost in purges"] += lost
        return min(lost, 1)

    def _isolate(self) -> int:
        self.scene.to_sqs.down.value = 1
        self.sqs_back_at = time.monotonic() + self.dice.uniform(0.5, LONGEST_OUTAGE)
        return 1

    def _crash(self) -> int:
        self.scene.stop_postgres()
        time.sleep(self.dice.random() / 2)
        self.scene.postgres.start()
        return 1
