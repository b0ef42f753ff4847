"""Rows of a file, one at a time: read, changed by steps, written."""

from __future__ import annotations

from chalicelib.tables.formats import Format, Source, Target, format_of, unpacked
from chalicelib.tables.steps import MAX_GROUPS, Step, columns_after, rows_after

__all__ = [
    "MAX_GROUPS",
    "Format",
    "Source",
    "Step",
    "Target",
    "columns_after",
    "format_of",
    "rows_after",
    "unpacked",
]
