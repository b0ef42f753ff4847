"""Serves the plain HTTP API by uvicorn, on a socket that is listened to already."""

from __future__ import annotations

import importlib
import socket
import sys
from typing import Any


def main() -> None:
    """Run ``python -m bench.plain_server DESCRIPTOR`` until SIGTERM; needs .venv.bench."""
    models: Any = importlib.import_module("bench.baseline_seed.models")
    models.Base.metadata.create_all(models.engine)
    uvicorn: Any = importlib.import_module("uvicorn")
    config = uvicorn.Config("bench.baseline_seed.api:app", access_log=False)
    # Not by its number: uvicorn would take the socket for another kind, and let its answers wait
    # 40 ms for the client's acknowledgement.
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
