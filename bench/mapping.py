"""Lets SQS invoke a function of the benchmark's, as the local stack lets it invoke ours."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from localdev import seed
from localdev.mapping.declared import QueueSource
from localdev.mapping.function import Function
from localdev.mapping.lane import LONG_POLL, Lane, Outage, Queue
from localdev.mapping.source import Source

#: Lambda's own, where nothing is said of it.
BATCH = 10
#: Seconds, as long as its messages stay hidden.
TIME_LIMIT = 30.0
_REGION = "us-east-1"


def main() -> None:
    """Run ``python -m bench.mapping NAME`` until SIGTERM: one worker of bench/functions/NAME."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    endpoint = os.environ["AWS_ENDPOINT_URL_SQS"]
    client = seed.make_client(endpoint, _REGION, read_timeout=LONG_POLL + 10)
    url = os.environ["BENCH_QUEUE_URL"]
    queue = Queue(client, url, "queue", _REGION, Outage(), partial=False)
    source = QueueSource("worker", url, BATCH, window=0, concurrency=1)
    folder = Path(__file__).parent / "functions" / sys.argv[1]
    function = Function(Source(folder), "worker", TIME_LIMIT)
    Lane(queue, source, function, stopping).start()
    stopping.wait()
    function.close()
    # A thread in a long poll cannot be joined.
    os._exit(0)


if __name__ == "__main__":
    main()
