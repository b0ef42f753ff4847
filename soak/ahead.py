"""What each process would load for itself, loaded once by the one that all are forked from."""

from __future__ import annotations

import app
from soak.lane import sqs_client

__all__ = ["app"]

# boto3 remembers what it has read of SQS; no connection is opened.
sqs_client()
