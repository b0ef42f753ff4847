"""Tells of what a statement ended by itself: attempts whose lease was over, and their tasks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chalicelib.task import Status

if TYPE_CHECKING:
    from chalicelib.db import Rows

logger = logging.getLogger(__name__)


def tell_of_ended(rows: Rows) -> None:
    """Log, of the rows of claim_tasks, rescue_tasks and expire_tasks, what was ended."""
    for row in rows:
        facts = {"task_id": row["id"], "kind": row["kind"], "attempt": row["spent"]}
        if row["rescued"]:
            told = {"status": row["status"], "lost_request_id": row["lost_request_id"]}
            logger.warning("task_rescued", extra=facts | told)
        if row["ended"] and row["status"] == Status.FAILED:
            logger.warning("task_failed", extra=facts | {"code": row["error"]["code"]})
        elif row["ended"]:
            logger.info("task_cancelled", extra=facts)
