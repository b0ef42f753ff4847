"""A tenant's files in a bucket of S3."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

from chalicelib.errors import GiveUp
from chalicelib.files.names import checked_name
from chalicelib.files.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

#: The size of a part, in bytes. S3 takes 10,000 of them, so a file has at most 83 GB.
#: Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
PART = 8 * 1024 * 1024
#: Without the right to list, S3 says of a key that is not there that one may not read it.
_NOT_THERE = {"NoSuchKey", "404", "AccessDenied", "403"}


class S3Files:
    """The keys that begin with the prefix and the tenant."""

    def __init__(self, client: Any, place: str, tenant: str) -> None:
        """Take a boto3 client, ``s3://bucket/prefix``, and whose files are meant."""
        self._client = client
        self._bucket, _, prefix = place.removeprefix("s3://").partition("/")
        self._home = "/".join([*([prefix.strip("/")] if prefix else []), tenant])

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[tuple[Any, int]]:
        """Open a file for reading, and tell its size in bytes.

        Raises GiveUp if there is none, or the worker may not read it.
        """
        try:
            found = self._client.get_object(**self._where(name))
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _NOT_THERE:
                raise
            raise GiveUp(f"There is no file {name!r}, or it may not be read.") from None
        with contextlib.closing(found["Body"]) as body:
            yield io.BufferedReader(Reading(body), 1 << 18), int(found["ContentLength"])

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[Any]:
        """Open a file for writing: it appears when the block ends well, and replaces an older one.

        What is larger than one part is sent in parts; they are dropped if the block does not end
        well. A process that is killed leaves them, see docs/deploy.md.
        """
        with _Upload(self._client, self._where(name)) as upload:
            yield upload
            upload.finish()

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._home}/{checked_name(name)}"}


class _Upload(io.BufferedIOBase):
    """Gathers what is written into parts; an upload begins when the first part is full."""

    def __init__(self, client: Any, where: dict[str, str]) -> None:
        self._client = client
        self._where = where
        self._waiting = bytearray()
        self._id: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        while len(self._waiting) >= PART:
            self._send(self._waiting[:PART])
            del self._waiting[:PART]
        return len(data)

    def finish(self) -> None:
        if not self._id:
            self._client.put_object(**self._where, Body=bytes(self._waiting))
            return
        if self._waiting:
            self._send(self._waiting)
        self._client.complete_multipart_upload(
            **self._where, **self._id, MultipartUpload={"Parts": self._parts}
        )
        self._id = {}

    def _send(self, part: bytearray) -> None:
        if not self._id:
            begun = self._client.create_multipart_upload(**self._where)
            self._id = {"UploadId": begun["UploadId"]}
        number = len(self._parts) + 1
        sent = self._client.upload_part(
            **self._where, **self._id, PartNumber=number, Body=bytes(part)
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting.clear()
        if self._id:
            self._client.abort_multipart_upload(**self._where, **self._id)
