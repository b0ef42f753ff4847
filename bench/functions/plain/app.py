"""The plain Lambda function, by its name in an ``app``."""

from __future__ import annotations

from types import SimpleNamespace

from bench.baseline_seed.worker import lambda_handler

app = SimpleNamespace(event_sources=(), handler_map={"worker": lambda_handler})
