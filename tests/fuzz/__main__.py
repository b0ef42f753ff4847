"""Asks a stack of its own many generated questions, and looks for failures and slow answers."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.stack import Stack, copy_tree
from tests.fuzz.many import SLOWEST, Fault, Many
from tests.fuzz.run import make_key

EVERY = 10  # seconds between two lines of progress
SLOW = 3  # the exit status where nothing but time was wrong


def main() -> int:
    """Return 0 if no answer was a 5xx and none took longer than two seconds, SLOW if one did."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz.sh", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--tell-slow", action="store_true", help="slow answers are told, no failure"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzzed-") as folder:
        Path(folder).chmod(0o755)  # as root, the database runs as nobody
        with Stack(
            copy_tree(Path(folder)), AUTH="keys", WEBHOOK_SECRETS="0" * 32, PRIORITY_QUEUE="on"
        ) as stack:
            many = Many(f"http://127.0.0.1:{stack.port}", make_key(stack), options.seed)
            done = ask(many, options.requests)
            return 0 if options.tell_slow and done == SLOW else done


def ask(many: Many, requests: int) -> int:
    """Ask until so many requests were made or one was answered badly."""
    began = told = time.monotonic()
    try:
        for asked in many.ask(requests):
            now = time.monotonic()
            if now > told + EVERY or asked == requests:
                say(f"{asked:,} of {requests:,} requests, {now - began:,.0f} s; {many.tally()}")
                told = now
    except Fault as fault:
        say(str(fault))
        return 1
    finally:
        for answer in many.slow:
            say(answer)
    say(f"no answer of 500 or above, {len(many.slow) or 'none'} over {SLOWEST} s")
    return SLOW if many.slow else 0


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
