"""The bucket that packages are kept in: private, encrypted, reached over TLS only, and ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localdev.aws.account import refusals
from localdev.errors import StackError

if TYPE_CHECKING:
    from localdev.aws.account import Aws

_GONE = {"404", "NoSuchBucket", "NoSuchKey"}
#: S3 takes this region by not being told it.
_UNNAMED = "us-east-1"


class Bucket:
    """A bucket of the account; every call fails if it has come to belong to another."""

    def __init__(self, aws: Aws, name: str | None) -> None:
        """Take the bucket's name; None for the one that is made for this purpose."""
        self.name = name or f"tasks-packages-{aws.account}-{aws.region}"
        self._made_here = name is None
        self._aws = aws
        self._of_ours = {"Bucket": self.name, "ExpectedBucketOwner": aws.account}

    def ensure(self) -> bool:
        """Make the bucket unless it is there, and return whether that was so.

        It is closed each time, in case that was interrupted; one that was named is left as it is.
        Raises StackError, also if one that was named is not there.
        """
        with refusals(f"open the bucket {self.name}"):
            there = self._answers("head_bucket")
        if not self._made_here:
            if not there:
                raise StackError(f"there is no bucket {self.name}; make it, or leave --bucket out")
            return False
        with refusals(f"make the bucket {self.name}"):
            if not there:
                self._make()
            self._close()
        return not there

    def keep(self, key: str, body: bytes) -> str:
        """Store ``body`` unless that key is there, and return its s3:// address.

        Raises StackError.
        """
        with refusals(f"store {key} in the bucket {self.name}"):
            if not self._answers("head_object", Key=key):
                self._aws.s3.put_object(
                    **self._of_ours, Key=key, Body=body, ServerSideEncryption="AES256"
                )
        return f"s3://{self.name}/{key}"

    def url(self, key: str) -> str:
        """Return the address by which CloudFormation reads what is stored there."""
        return f"{self._aws.s3.meta.endpoint_url}/{self.name}/{key}"

    def _answers(self, operation: str, **arguments: str) -> bool:
        try:
            getattr(self._aws.s3, operation)(**self._of_ours, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return False
            raise
        return True

    def _make(self) -> None:
        s3, region = self._aws.s3, self._aws.region
        where: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=self.name, **({} if region == _UNNAMED else where))

    def _close(self) -> None:
        s3 = self._aws.s3
        s3.put_public_access_block(
            **self._of_ours,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(
            **self._of_ours, ServerSideEncryptionConfiguration={"Rules": [rule]}
        )
        s3.put_bucket_policy(**self._of_ours, Policy=json.dumps(self._policy()))

    def _policy(self) -> dict[str, Any]:
        partition = self._aws.s3.meta.partition
        arn = f"arn:{partition}:s3:::{self.name}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyOverTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
