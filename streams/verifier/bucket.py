"""Reads the evidence bucket: every link of the chains, and every object that a link or a pointer names."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import msgspec
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.verifier.seen import Bucket, StoredObject

_AT_ONCE = 16
_ABSENT = {"NoSuchKey", "NoSuchVersion"}
_TRIES = 3


class Unreadable(Exception):
    """The store, or a key file, could not be read; the message says which."""


def read(
    name: str, endpoint: str | None, pointers: Iterable[tuple[str, str]], public_keys: list[bytes]
) -> Bucket:
    """`pointers` are keys and versions; credentials come from where S3 clients look. Raises `Unreadable`."""
    try:
        session = Session()
        config = Config(signature_version="s3v4", connect_timeout=5, retries={"max_attempts": 2})
        client = session.create_client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
        fetch = _Fetch(client, name, session.get_config_variable("ca_bundle"))
        keys = [
            str(one["Key"])
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="chain/")
            for one in page.get("Contents", [])
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            links = dict(zip(keys, pool.map(lambda key: fetch.body(key) or b"", keys), strict=True))
            wanted = sorted({*pointers, *_named(links.values())})
            bodies = pool.map(lambda one: fetch.body(*one), wanted)
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


class _Fetch:
    """Objects by a signed URL: a client's own `get_object` costs twice as much as all else that is judged."""

    def __init__(self, client: Any, bucket: str, ca_bundle: str | None) -> None:
        self._client, self._bucket = client, bucket
        self._http = URLLib3Session(
            verify=ca_bundle or True,
            proxies=get_environ_proxies(client.meta.endpoint_url),
            max_pool_connections=_AT_ONCE,
        )

    def body(self, key: str, version: str = "") -> bytes | None:
        """None where there is none; safe from several threads."""
        which = {"VersionId": version} if version else {}
        where = {"Bucket": self._bucket, "Key": key, **which}
        for left in reversed(range(_TRIES)):
            request = AWSRequest("GET", self._client.generate_presigned_url("get_object", Params=where))
            try:
                answer = self._http.send(request.prepare())
                body = answer.content
            except HTTPClientError:
                if not left:
                    raise
                continue
            if answer.status_code == HTTPStatus.OK:
                return bytes(body)
            if any(f"<Code>{code}</Code>".encode() in body for code in _ABSENT):
                return None
            if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or not left:
                raise Unreadable(f"bucket {self._bucket}: {key} is answered with {answer.status_code}")
        raise AssertionError("the last try returns or raises")


def _raw_key(pem: bytes) -> bytes:
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable("a public key file holds no Ed25519 public key")
    return key.public_bytes_raw()
