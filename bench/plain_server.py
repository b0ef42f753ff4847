"""Serves the plain HTTP API by uvicorn, on a socket that is listened to already."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main() -> None:
    """Run ``python -m bench.plain_server DESCRIPTOR`` until SIGTERM; needs .venv.bench."""
    models: Any = importlib.import_module("bench.baseline_seed.models")
    models.Base.metadata.create_all(models.engine)
    uvicorn: Any = importlib.import_module("uvicorn")
    uvicorn.run("bench.baseline_seed.api:app", fd=int(sys.argv[1]), access_log=False)


if __name__ == "__main__":
    main()
