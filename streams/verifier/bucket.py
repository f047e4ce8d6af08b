"""Reads the evidence bucket: every link of the chains, and every object that a link or a pointer names."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.verifier.seen import Bucket, StoredObject

_AT_ONCE = 16
_ABSENT = {"NoSuchKey", "NoSuchVersion", "404"}


class Unreadable(Exception):
    """The store, or a key file, could not be read; the message says which."""


def read(
    name: str, endpoint: str | None, pointers: Iterable[tuple[str, str]], public_keys: list[bytes]
) -> Bucket:
    """`pointers` are keys and versions; credentials come from where S3 clients look. Raises `Unreadable`."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=Config(max_pool_connections=_AT_ONCE, connect_timeout=5, retries={"max_attempts": 2}),
    )
    try:
        keys = [
            str(one["Key"])
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="chain/")
            for one in page.get("Contents", [])
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            links = dict(
                zip(keys, pool.map(lambda key: _body(client, name, key, "") or b"", keys), strict=True)
            )
            wanted = sorted({*pointers, *_named(links.values())})
            bodies = pool.map(lambda one: _body(client, name, *one), wanted)
            objects = {one: StoredObject(*one, body) for one, body in zip(wanted, bodies, strict=True)}
    except (ClientError, BotoCoreError, OSError) as error:
        raise Unreadable(f"bucket {name}: {error}") from error
    return Bucket(name=name, links=links, objects=objects, public_keys=[_raw_key(pem) for pem in public_keys])


def _named(links: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    """What the links name; one that cannot be read names nothing here, and is judged later."""
    for raw in links:
        try:
            link = msgspec.json.decode(msgspec.json.decode(raw)["body"])
            found = [(each["key"], each["version"]) for each in link["objects"]]
        except (msgspec.DecodeError, KeyError, TypeError):
            continue
        yield from found


def _body(client: Any, bucket: str, key: str, version: str) -> bytes | None:
    which = {"VersionId": version} if version else {}
    try:
        return bytes(client.get_object(Bucket=bucket, Key=key, **which)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise


def _raw_key(pem: bytes) -> bytes:
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable("a public key file holds no Ed25519 public key")
    return key.public_bytes_raw()
