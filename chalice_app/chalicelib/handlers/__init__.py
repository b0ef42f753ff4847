"""The business logic: one file for each kind of task, found by being in this folder."""

from __future__ import annotations

import importlib
import pkgutil

from chalicelib.registry import registry

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["registry"]
