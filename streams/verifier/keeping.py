"""I5: every evidence object is what its pointer says, and the chains of signed links hold."""

import base64
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.catalogue import Topic
from schemas.events import EvidenceStored
from streams.verifier.seen import Bucket, Seen
from streams.verifier.verdict import Finding


class Named(msgspec.Struct, frozen=True):
    """An object as a link names it."""

    key: str
    version: str
    sha256: str


class Link(msgspec.Struct, frozen=True):
    """What a link has to say; it says more."""

    chain: int
    seq: int
    previous_sha256: str
    request_id: str
    order_id: str
    objects: list[Named]


class Signed(msgspec.Struct, frozen=True):
    """`signature` is Ed25519 over the exact bytes of `body`."""

    body: str
    signature: str
    key_id: str


def check(seen: Seen) -> Finding:
    finding = Finding(invariant="I5")
    bucket = seen.bucket
    if bucket is None:
        finding.skip("no bucket was given")
        return finding
    if not bucket.public_keys:
        finding.skip("signatures: no public key was given")
    named = _chains(bucket, finding)
    stored = {
        one.record.request_id: one.record
        for topic in (Topic.EVIDENCE, Topic.CASE_EVENTS)
        for one in seen.topics.of(topic)
        if isinstance(one.record, EvidenceStored)
    }
    for request_id, record in stored.items():
        finding.checked += 1
        _pointer(bucket, request_id, record, named, finding)
    return finding


def _pointer(
    bucket: Bucket, request_id: str, record: EvidenceStored, named: dict[str, Link], finding: Finding
) -> None:
    pointer, order = record.pointer, record.order_id
    one = bucket.objects.get((pointer.key, pointer.version))
    look = f"s3://{pointer.bucket}/{pointer.key} version {pointer.version}"
    if one is None or one.body is None:
        finding.wrong(order=order, expected=f"the evidence of {request_id}", found="no object", look=look)
    elif (found := _sha256(one.body)) != pointer.sha256:
        finding.wrong(order=order, expected=f"SHA-256 {pointer.sha256}", found=found, look=look)
    link = named.get(request_id)
    if link is None:
        finding.wrong(order=order, expected=f"a link that names {request_id}", found="none", look="chain/")
    elif pointer.sha256 not in [each.sha256 for each in link.objects]:
        finding.wrong(
            order=order,
            expected=f"the link of {request_id} to name the pointer's object",
            found="other objects",
            look=f"chain/{link.chain}/{link.seq:012d}",
        )


def _chains(bucket: Bucket, finding: Finding) -> dict[str, Link]:
    """The links by request; what follows a broken link is judged by itself."""
    keys = {
        hashlib.sha256(raw).hexdigest()[:16]: Ed25519PublicKey.from_public_bytes(raw)
        for raw in bucket.public_keys
    }
    chains: dict[str, list[str]] = {}
    for key in sorted(bucket.links):
        chains.setdefault(key.split("/")[1], []).append(key)
    named: dict[str, Link] = {}
    for number, found in chains.items():
        previous = ""
        for seq, key in enumerate(found, start=1):
            finding.checked += 1
            raw = bucket.links[key]
            link, fault = _opened(raw, keys)
            if link is None or fault:
                finding.wrong(expected="a signed link", found=fault, look=key)
            if link is None:
                previous = _sha256(raw)
                continue
            place = f"chain/{number}/{seq:012d}"
            if (key, link.previous_sha256) != (place, previous):
                finding.wrong(
                    order=link.order_id,
                    expected=f"{place} to follow the link before it",
                    found=f"{key} after {link.previous_sha256[:12] or 'nothing'}",
                    look=key,
                )
            previous = _sha256(raw)
            named[link.request_id] = link
            _objects(bucket, link, key, finding)
    return named


def _objects(bucket: Bucket, link: Link, look: str, finding: Finding) -> None:
    for each in link.objects:
        one = bucket.objects.get((each.key, each.version))
        body = one.body if one is not None else None
        if body is None or _sha256(body) != each.sha256:
            finding.wrong(
                order=link.order_id,
                expected=f"{each.key} with SHA-256 {each.sha256}",
                found="it is gone" if body is None else _sha256(body),
                look=f"{look}, and s3://{bucket.name}/{each.key}",
            )


def _opened(raw: bytes, keys: dict[str, Ed25519PublicKey]) -> tuple[Link | None, str]:
    """The link, and what is wrong with it or its signature."""
    try:
        signed = msgspec.json.decode(raw, type=Signed)
        link = msgspec.json.decode(signed.body, type=Link)
    except (msgspec.DecodeError, ValueError) as error:
        return None, f"it is no link of ours: {error}"
    if keys and signed.key_id not in keys:
        return link, f"it is signed with another key: {signed.key_id}"
    try:
        if keys:
            keys[signed.key_id].verify(base64.b64decode(signed.signature), signed.body.encode())
    except (InvalidSignature, ValueError):
        return link, "its signature is wrong"
    return link, ""


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
