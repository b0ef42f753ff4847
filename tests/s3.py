"""A server of S3 for tests, spoken to over the wire."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "files"


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """Start moto on 127.0.0.1; yields the URL at which all services that it has are asked."""
    from moto.server import ThreadedMotoServer

    # moto takes the account's word for the endpoint, and says a line for each request.
    own = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    own.start()
    host, port = own.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        own.stop()


@contextlib.contextmanager
def server() -> Iterator[Any]:
    """Start moto's S3 on 127.0.0.1; yields a boto3 client of it, the bucket made."""
    import boto3

    with moto() as url:
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=url)
        client.create_bucket(Bucket=BUCKET)
        try:
            yield client
        finally:
            client.close()


def place() -> str:
    """Return a FILES that no other test has."""
    return f"s3://{BUCKET}/{os.getpid()}-{uuid.uuid4().hex[:8]}"
