"""The object store as evidence needs it: checksummed, locked, encrypted, conditional, and honest about failing."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_ABSENT = {"NoSuchKey", "NoSuchVersion", "404"}


class StoreError(Exception):
    """The store is away, refuses, or returned something else than was put: try again later."""


class Store:
    """One bucket with versions and object lock; `client` is boto3's S3 client."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self.bucket = client, bucket

    def put(self, key: str, body: bytes, retain_until_at: datetime) -> str:
        """The version under which exactly these bytes are kept until then; raises `StoreError`."""
        try:
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=retain_until_at,
                ServerSideEncryption="AES256",
            )
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"put {key}: {error}") from error
        version = str(answer.get("VersionId", ""))
        if self.get(key, version) != body:
            raise StoreError(f"{key} was read back differently")
        return version

    def put_first(self, key: str, body: bytes, retain_until_at: datetime) -> bool:
        """False if there is something at that key already; raises `StoreError`."""
        try:
            self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                IfNoneMatch="*",
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=retain_until_at,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                return False
            raise StoreError(f"put {key}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"put {key}: {error}") from error
        if self.get(key) != body:
            raise StoreError(f"{key} was read back differently")
        return True

    def get(self, key: str, version: str = "") -> bytes | None:
        """None if it is not there; raises `StoreError`."""
        which = {"VersionId": version} if version else {}
        try:
            answer = self._client.get_object(Bucket=self.bucket, Key=key, **which)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise StoreError(f"get {key}: {error}") from error
        except (BotoCoreError, OSError) as error:
            raise StoreError(f"get {key}: {error}") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """In order; raises `StoreError`."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for one in page.get("Contents", []):
                    yield str(one["Key"])
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"list {prefix}: {error}") from error
