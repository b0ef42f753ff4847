"""The mapping's process: seeds the queue, migrates the database, then polls until stopped."""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.settings import Settings
from localdev import seed
from localdev.leases import expire_leases
from localdev.mapping.clock import Clock
from localdev.mapping.events import scheduled_event
from localdev.mapping.function import Function, InvocationFailed
from localdev.mapping.lane import LONG_POLL, Lane, Outage, Queue
from localdev.mapping.report import report
from localdev.mapping.source import Source
from localdev.processes import APP, follow_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from localdev.mapping.declared import Declared, QueueSource
    from localdev.mapping.function import Code

TIME_LIMIT = 60.0  # seconds, of functions other than the worker: Chalice's default
PATIENCE = 5.0  # seconds that running invocations have to end in
READY = "mapping_ready"
FAILED = "mapping_failed"


class Mapping:
    """All lanes and clocks of one app."""

    def __init__(self, code: Code, client: Any, settings: Settings, workers: int) -> None:
        """``workers`` bounds what the app declares as its concurrency."""
        self._code = code
        self._client = client
        self._settings = settings
        self._workers = workers
        self._outage = Outage()
        self._stopping = threading.Event()
        self.lanes: list[Lane] = []
        self.clocks: list[Clock] = []

    def prepare(self, *, expire: bool, queue_lost: bool) -> Declared:
        """Migrate the database, and let the sweeper know if SQS forgot all messages.

        ``expire`` says that no worker of this database can be alive.

        Raises InvocationFailed if one of the functions fails.
        """
        declaration = self._code.declared()
        if "migrate" in declaration.functions:
            migrate = Function(self._code, "migrate", TIME_LIMIT)
            migrate.invoke({})
            migrate.close()
        if expire:
            expire_leases(self._settings.database_url)
        for schedule in declaration.schedules:
            if schedule.seconds is None:
                report("schedule_ignored", "WARNING", expression=schedule.expression)
                continue
            function = Function(self._code, schedule.function, TIME_LIMIT)
            region = self._settings.aws_region
            if queue_lost:
                event = scheduled_event(schedule.function, region) | {
                    "detail": {"queue_lost": True}
                }
                function.invoke(event)
            self.clocks.append(Clock(function, schedule.seconds, region, self._stopping))
        return declaration

    def start(self, declaration: Declared) -> None:
        """Start polling and ticking."""
        for source in declaration.queues:
            queue = self._queue(source)
            for _ in range(max(1, min(source.concurrency, self._workers))):
                limit = self._settings.worker_timeout
                function = Function(self._code, source.function, limit)
                self.lanes.append(Lane(queue, source, function, self._stopping))
        for lane in self.lanes:
            lane.start()
        for clock in self.clocks:
            clock.start()

    def stop(self) -> None:
        """Poll no more, let running invocations end for a while, then kill what is left."""
        self._stopping.set()
        _wait_while(self._busy, PATIENCE)
        for function in self._functions():
            function.close()
        # What was in hand goes back to the queue; whoever waits in a long poll has nothing.
        _wait_while(lambda: any(lane.holding for lane in self.lanes), 2)

    def _busy(self) -> bool:
        return any(function.busy for function in self._functions())

    def _functions(self) -> list[Function]:
        return [lane.function for lane in self.lanes] + [clock.function for clock in self.clocks]

    def _queue(self, source: QueueSource) -> Queue:
        url = self._client.get_queue_url(QueueName=source.queue)["QueueUrl"]
        asked = ["QueueArn", "VisibilityTimeout"]
        answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=asked)
        hidden = int(answer["Attributes"]["VisibilityTimeout"])
        if hidden < self._settings.worker_timeout:
            message = (
                f"the visibility timeout of {source.queue} ({hidden} s) is shorter than the time "
                f"limit of {source.function} ({self._settings.worker_timeout} s); AWS refuses that"
            )
            raise InvocationFailed(message)
        partial = self._settings.partial_batch == "report"
        arn, region = answer["Attributes"]["QueueArn"], self._settings.aws_region
        return Queue(self._client, url, arn, region, self._outage, partial)


def main() -> None:
    """Run until SIGTERM or the parent's end."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = _parse()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        mapping = _prepared(options)
    except Exception as error:  # noqa: BLE001  (told to the supervisor, which ends the stack)
        report(FAILED, "ERROR", error=str(error) or type(error).__name__)
        os._exit(1)
    report(READY, workers=len(mapping.lanes))
    stopped.wait()
    mapping.stop()
    # Threads in a long poll cannot be joined.
    os._exit(0)


def _prepared(options: argparse.Namespace) -> Mapping:
    settings = Settings.from_env()
    client = seed.make_client(
        os.environ["AWS_ENDPOINT_URL_SQS"],
        settings.aws_region,
        read_timeout=LONG_POLL + 10,
        connect_timeout=5,
        retries={"total_max_attempts": 1},
        max_pool_connections=2 * options.workers + 5,
    )
    seed.wait_for(client, 30)
    seed.seed(client, seed.Plan.of(settings))
    mapping = Mapping(_code(options), client, settings, options.workers)
    mapping.start(mapping.prepare(expire=options.expire_leases, queue_lost=options.queue_lost))
    return mapping


def _code(options: argparse.Namespace) -> Code:
    if options.package is None:
        return Source(APP)
    from localdev.lambda_runtime.bundle import Bundle, beside  # noqa: PLC0415  (seldom asked for)

    return Bundle.of(options.package, beside(os.environ))


def _wait_while(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localdev.mapping", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="most invocations at once")
    parser.add_argument("--queue-lost", action="store_true", help="SQS forgot its messages")
    parser.add_argument("--expire-leases", action="store_true", help="all workers are gone")
    parser.add_argument("--package", type=Path, help="run this package, not the source tree")
    return parser.parse_args()
