"""One contestant in a process of its own, which is told what to do by lines of JSON.

Needs nothing but Python besides what the contestant needs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run ``python -m bench.child MODULE ROLE``: a module of ours that has ``begin(role)``."""
    # Whatever a contestant prints goes to its log, as a Lambda function's does.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as told:
        os.dup2(2, 1)
        contestant = importlib.import_module(sys.argv[1])
        statements: dict[str, list[float]] = getattr(contestant, "statements", {})
        prepare = contestant.begin(sys.argv[2])
        _tell(told, {"ready": True})
        for line in sys.stdin:
            asked = json.loads(line)
            call = prepare(asked["case"], asked["batch"], asked["calls"])
            statements.clear()
            _tell(told, _measured(call, asked["calls"]) | {"statements": statements})


def _measured(call: Callable[[int], None], calls: int) -> dict[str, Any]:
    gc.collect()
    times = []
    cpu = time.process_time()
    for number in range(calls):
        begun = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - begun)
    return {"times": times, "cpu": time.process_time() - cpu, "memory": _memory()}


def _memory() -> int:
    # The most so far, in bytes. What getrusage says may be the parent's, which was here before.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _tell(told: Any, answer: dict[str, Any]) -> None:
    told.write(json.dumps(answer) + "\n")
    told.flush()


if __name__ == "__main__":
    main()
